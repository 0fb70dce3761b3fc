package client

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// barWidth is the number of characters of a progress bar.
const barWidth = 30

// Progress returns a function that shows on a terminal how much of a step is done, in one
// line that goes away when it is over. It is nil where w is no terminal.
func Progress(w io.Writer) func(step string, done, total int) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return progressBar(f)
}

func progressBar(w io.Writer) func(step string, done, total int) {
	shown := -1
	return func(step string, done, total int) {
		if done >= total {
			fmt.Fprint(w, "\r\x1b[K")
			shown = -1
			return
		}
		percent := 100 * done / total
		if percent == shown {
			return
		}
		shown = percent
		full := barWidth * done / total
		fmt.Fprintf(w, "\r\x1b[K%s [%s%s] %d of %d", step, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done, total)
	}
}

// progress is Progress that can be called in any case.
func progress(w io.Writer) func(step string, done, total int) {
	if show := Progress(w); show != nil {
		return show
	}
	return func(string, int, int) {}
}
