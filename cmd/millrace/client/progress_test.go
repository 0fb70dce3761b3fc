package client

import (
	"bytes"
	"strings"
	"testing"
)

// TestAProgressBarIsOneLineThatGoesAway: it is written again only when the percentage changes.
func TestAProgressBarIsOneLineThatGoesAway(t *testing.T) {
	var out bytes.Buffer
	show := progressBar(&out)
	for i := range 1001 {
		show("checking", i, 1000)
	}
	text := out.String()
	if strings.Contains(text, "\n") {
		t.Errorf("a line ends: %q", text)
	}
	if n := strings.Count(text, "checking ["); n != 100 {
		t.Errorf("written %d times, want 100", n)
	}
	if !strings.Contains(text, "checking [###############...............] 500 of 1000") {
		t.Errorf("half is not shown: %q", text)
	}
	if !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("it stays: %q", text[len(text)-20:])
	}
	if Progress(&out) != nil {
		t.Error("a file has a progress bar")
	}
}
