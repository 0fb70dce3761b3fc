// Package structure tests which package may import which.
//
// One table says what each room may import from Millrace itself. A new edge
// changes the table, and the commit that changes it says why.
package structure

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/millrace/millrace/"

// mayImport lists, for each room, the packages of other rooms that its
// product code may import, by prefix. A room may always import itself.
func mayImport() map[string][]string {
	return map[string][]string{
		"configs":   nil,
		"packaging": nil,
		"internal":  {"configs"},
		"agent":     {"configs", "internal"},
		"broker":    {"configs", "internal"},
		"pipelines": {"configs", "internal"},
		"alerting":  {"configs", "internal"},
		"mirror":    {"configs", "internal"},
		"search":    {"configs", "internal"},
		"console":   {"configs", "internal"},
		"cmd":       {""},
		"test":      {""},
	}
}

func TestRoomsImportOnlyWhatTheTableAllows(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	table := mayImport()
	packages := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(fields[0], module)
		room, _, _ := strings.Cut(from, "/")
		allowed, known := table[room]
		if !known {
			t.Errorf("%s is in no room of the table", from)
			continue
		}
		packages++
		for _, imported := range fields[1:] {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			if !within(to, room) && !slices.ContainsFunc(allowed, func(prefix string) bool { return within(to, prefix) }) {
				t.Errorf("%s may not import %s: rooms meet in Kafka records, HTTP or internal/ only", from, to)
			}
		}
	}
	if packages == 0 {
		t.Fatal("go list found no package")
	}
}

func within(path, prefix string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// TestEveryPackageHasAComment: a stranger learns from it what a package is for.
func TestEveryPackageHasAComment(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}|{{.Doc}}|{{len .GoFiles}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		doc, files, _ := strings.Cut(rest, "|")
		if doc == "" && files != "0" {
			t.Errorf("%s has no package comment", path)
		}
	}
}
