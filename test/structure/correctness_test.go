package structure

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTestsOfCorrectnessExist: docs/design/correctness.md says for each rule which
// tests fail when it is broken. A test that was renamed or removed is found here.
func TestTheTestsOfCorrectnessExist(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "design", "correctness.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+): (Test[A-Za-z0-9_]+)`")
	sources := map[string]string{}
	rules := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| rule") || strings.HasPrefix(line, "| finding") {
			continue
		}
		rules++
		tests := named.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 && !strings.Contains(line, "Waits for replication") {
			t.Errorf("a rule has no test and does not wait for replication: %s", line)
		}
		for _, m := range tests {
			if !strings.Contains(testSource(t, sources, filepath.Join(root, m[1])), "\nfunc "+m[2]+"(t *testing.T)") {
				t.Errorf("there is no %s in %s", m[2], m[1])
			}
		}
	}
	if rules < 30 {
		t.Errorf("only %d rules were found", rules)
	}
}

// testSource returns all test files of a package.
func testSource(t *testing.T, known map[string]string, dir string) string {
	t.Helper()
	if text, ok := known[dir]; ok {
		return text
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	known[dir] = all.String()
	return known[dir]
}
