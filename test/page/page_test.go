package page

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	const before = "# Title\n<!-- written by make a: begin -->\nold\n<!-- written by make a: end -->\n\n<!-- written by make b: begin -->\n<!-- written by make b: end -->\nend\n"
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"new\n\nlonger", "new\n"} {
		if err := Write(path, "make a", text); err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(path, "make b", "b"); err != nil {
		t.Fatal(err)
	}
	const want = "# Title\n<!-- written by make a: begin -->\nnew\n<!-- written by make a: end -->\n\n<!-- written by make b: begin -->\nb\n<!-- written by make b: end -->\nend\n"
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("%v, got %s", err, got)
	}
	if err := Write(path, "make c", "c"); err == nil {
		t.Fatal("a page without a place was written")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != want {
		t.Fatalf("%v, the refused page became %s", err, after)
	}
}
