package broker

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	compatibilityDocument = "../docs/compatibility.md"
	differencesBegin      = "<!-- answers that differ: made by broker, go test -run DifferencesAreDocumented -rewrite -->\n"
	differencesEnd        = "<!-- end of answers that differ -->"
)

// TestKnownDifferencesAreDocumented compares docs/compatibility.md with the list that the
// replay goes by.
func TestKnownDifferencesAreDocumented(t *testing.T) {
	content, err := os.ReadFile(compatibilityDocument)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), differencesBegin)
	have, after, ended := strings.Cut(rest, differencesEnd)
	if !begun || !ended {
		t.Fatalf("%s has no place for the table", compatibilityDocument)
	}
	var want strings.Builder
	want.WriteString("| what is sent | Apache Kafka 4.1.1 | here | why |\n|---|---|---|---|\n")
	for _, k := range readKnownDifferences(t) {
		fmt.Fprintf(&want, "| %s | %s | %s | %s |\n", k.Input, k.Kafka, k.Here, k.Reason)
	}
	if *rewrite {
		if err := os.WriteFile(compatibilityDocument, []byte(before+differencesBegin+want.String()+differencesEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want.String() {
		t.Errorf("%s is not current; the table is\n%s", compatibilityDocument, want.String())
	}
}
