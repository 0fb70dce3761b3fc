package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestReferenceIsCurrent(t *testing.T) {
	want, err := reference("..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/configuration.md is stale: run go generate ./configs")
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	page, err := reference("..")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(strings.TrimSpace(line), "|  |") {
			t.Errorf("a key without description: %s", line)
		}
	}
}
