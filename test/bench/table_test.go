package bench

import (
	"fmt"
	"slices"
	"strings"
)

// series are the measured values of one figure of one system.
type series []float64

func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

// table is one section of the report: rows of figures, columns of systems.
type table struct {
	title   string
	note    string
	systems []string // the first one is ours, the second what ratios are against
	rows    []string
	values  map[string]map[string]series
}

func newTable(title, note string, systems ...string) *table {
	return &table{title: title, note: note, systems: systems, values: map[string]map[string]series{}}
}

func (t *table) add(row, system string, value float64) {
	if t.values[row] == nil {
		t.values[row] = map[string]series{}
		t.rows = append(t.rows, row)
	}
	t.values[row][system] = append(t.values[row][system], value)
}

// markdown writes the table with a ratio of the first system to the second.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| figure | %s | ratio |\n|---|%s--:|\n", t.title, t.note, strings.Join(t.systems, " | "), strings.Repeat("--:|", len(t.systems)))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |", row)
		for _, s := range t.systems {
			b.WriteString(" " + figure(t.values[row][s]) + " |")
		}
		ours, theirs := t.values[row][t.systems[0]].median(), t.values[row][t.systems[1]].median()
		ratio := "–"
		if theirs > 0 && len(t.values[row][t.systems[0]]) > 0 {
			ratio = fmt.Sprintf("%.2f", ours/theirs)
		}
		fmt.Fprintf(&b, " %s |\n", ratio)
	}
	return b.String()
}

func figure(s series) string {
	if len(s) == 0 {
		return "–"
	}
	m := s.median()
	switch {
	case m >= 1000:
		return fmt.Sprintf("%.0f", m)
	case m >= 10:
		return fmt.Sprintf("%.1f", m)
	default:
		return fmt.Sprintf("%.2f", m)
	}
}
