// Package page writes the parts of documentation that come from a run.
package page

import (
	"fmt"
	"os"
	"strings"
)

// Write replaces what a command has written into a page before. It stands between two comments
// that name the command, which the page must have.
func Write(path, command, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := fmt.Sprintf("<!-- written by %s: begin -->\n", command), fmt.Sprintf("<!-- written by %s: end -->", command)
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for what %s writes: the lines %q and %q", path, command, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(path, []byte(before+begin+strings.TrimSuffix(text, "\n")+"\n"+end+after), 0o644)
}
