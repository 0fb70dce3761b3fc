package broker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// knownDifference is an answer that is not Apache Kafka's for a reason; the list is a part of
// docs/compatibility.md.
type knownDifference struct {
	// Steps is a regular expression for the names of the steps that it shows in.
	Steps  string `json:"steps"`
	Input  string `json:"input"`
	Kafka  string `json:"kafka"`
	Here   string `json:"here"`
	Reason string `json:"reason"`

	pattern *regexp.Regexp
	met     bool
}

func readKnownDifferences(t *testing.T) []*knownDifference {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(recordedDir, "differences.json"))
	if err != nil {
		t.Fatal(err)
	}
	var known []*knownDifference
	if err := json.Unmarshal(text, &known); err != nil {
		t.Fatal(err)
	}
	for _, k := range known {
		if k.Input == "" || k.Kafka == "" || k.Here == "" || k.Reason == "" {
			t.Errorf("a known difference does not say what it is: %+v", k)
		}
		k.pattern = regexp.MustCompile("^(?:" + k.Steps + ")$")
	}
	return known
}

// isKnown notes that a step's answer differs, and says whether that is known.
func (c *comparison) isKnown(step string) bool {
	for _, k := range c.known {
		if k.pattern.MatchString(step) {
			k.met = true
			return true
		}
	}
	return false
}
