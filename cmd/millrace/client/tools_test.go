package client_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/millrace/client"
)

const movingFile = "../../../docs/moving-from-kafka.md"

var optionPattern = regexp.MustCompile(`--[a-z][a-zA-Z-]*[a-z]`)

// toolRows are the rows of the table, by tool.
func toolRows(t *testing.T) map[string][][]string {
	t.Helper()
	content, err := os.ReadFile(movingFile)
	if err != nil {
		t.Fatal(err)
	}
	_, table, begun := strings.Cut(string(content), "<!-- tools:")
	table, _, ended := strings.Cut(table, "<!-- end of tools -->")
	if !begun || !ended {
		t.Fatalf("%s has no table of tools", movingFile)
	}
	rows := map[string][][]string{}
	tool := ""
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| tool") {
			continue
		}
		cells := strings.Split(strings.ReplaceAll(strings.Trim(strings.TrimSpace(line), "|"), `\|`, "\x00"), "|")
		if len(cells) != 3 {
			t.Fatalf("a row of %d cells: %s", len(cells), line)
		}
		if name := strings.TrimSpace(cells[0]); name != "" {
			tool = name
		}
		rows[tool] = append(rows[tool], []string{cells[1], strings.ReplaceAll(cells[2], "\x00", "|")})
	}
	return rows
}

// TestEachOptionOfKafkasToolsHasAnAnswer: the table tells of every option what it is here, or
// that it is not there; and of none that Kafka does not have.
func TestEachOptionOfKafkasToolsHasAnAnswer(t *testing.T) {
	content, err := os.ReadFile("testdata/kafka-tools-4.1.1.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := toolRows(t)
	everywhere := []string{"--bootstrap-server", "--bootstrap-controller", "--command-config", "--help", "--version"}
	tools := 0
	for line := range strings.Lines(string(content)) {
		words := strings.Fields(line)
		if words[0] == "#" {
			continue
		}
		tools++
		var told []string
		for _, row := range rows[words[0]] {
			told = append(told, optionPattern.FindAllString(row[0], -1)...)
		}
		for _, option := range words[1:] {
			if !slices.Contains(told, option) && !slices.Contains(everywhere, option) {
				t.Errorf("%s %s is not in the table", words[0], option)
			}
		}
		for _, option := range told {
			if !slices.Contains(words[1:], option) {
				t.Errorf("%s has no option %s", words[0], option)
			}
		}
	}
	if tools != len(rows) {
		t.Errorf("%d tools, but the table has %d", tools, len(rows))
	}
}

// TestTheTableNamesCommandsThatThereAre follows each command of the table, with its flags.
func TestTheTableNamesCommandsThatThereAre(t *testing.T) {
	root := &cobra.Command{Use: "millrace"}
	g := &client.Globals{}
	g.Register(root.PersistentFlags())
	root.AddCommand(client.Commands(g)...)
	for tool, rows := range toolRows(t) {
		for _, row := range rows {
			var last *cobra.Command
			for part := range strings.SplitSeq(row[1], "`") {
				if strings.HasPrefix(part, "millrace ") {
					last = commandOf(t, root, tool, part)
				}
				if last == nil || !strings.HasPrefix(part, "millrace ") {
					continue
				}
				for _, flag := range optionPattern.FindAllString(part, -1) {
					name := strings.TrimPrefix(flag, "--")
					if last.Flags().Lookup(name) == nil && root.PersistentFlags().Lookup(name) == nil {
						t.Errorf("%s: %q has no flag %s", tool, last.CommandPath(), flag)
					}
				}
			}
		}
	}
}

// commandOf finds the command that a piece of the table means; of several with | the first, with
// the others looked for too.
func commandOf(t *testing.T, root *cobra.Command, tool, text string) *cobra.Command {
	t.Helper()
	words := strings.Fields(text)[1:]
	alternatives := []string{""}
	if len(words) > 1 && !strings.HasPrefix(words[1], "-") && !strings.HasPrefix(words[1], "[") && strings.ToLower(words[1]) == words[1] {
		alternatives = strings.Split(words[1], "|")
	}
	var found *cobra.Command
	for _, child := range alternatives {
		path := []string{words[0]}
		if child != "" {
			path = append(path, child)
		}
		c, rest, err := root.Find(path)
		if err != nil || c == root || len(rest) > 0 && c.HasSubCommands() {
			t.Errorf("%s: there is no command %q", tool, strings.Join(path, " "))
			continue
		}
		if found == nil {
			found = c
		}
	}
	return found
}
