package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
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

// goal is what a row has to reach. A field that is 0 asks for nothing.
type goal struct {
	// ratioMin and ratioMax bound our figure over the peer's; with both one is enough
	// to miss it.
	ratioMin, ratioMax float64
	// valueMax bounds the figure itself.
	valueMax float64
}

func (g goal) String() string {
	var parts []string
	if g.ratioMin > 0 {
		parts = append(parts, fmt.Sprintf("ratio ≥ %g", g.ratioMin))
	}
	if g.ratioMax > 0 {
		parts = append(parts, fmt.Sprintf("ratio ≤ %g", g.ratioMax))
	}
	if g.valueMax > 0 {
		parts = append(parts, fmt.Sprintf("≤ %g", g.valueMax))
	}
	return strings.Join(parts, ", ")
}

// missed reports whether a figure misses the goal. theirs is 0 where there is none.
func (g goal) missed(ours, theirs float64) bool {
	if g.valueMax > 0 && ours > g.valueMax {
		return true
	}
	if theirs == 0 {
		return false
	}
	return g.ratioMin > 0 && ours < g.ratioMin*theirs || g.ratioMax > 0 && ours > g.ratioMax*theirs
}

// table is one section of the report: rows of figures, columns of systems.
type table struct {
	title   string
	note    string
	systems []string // the first one is ours, the second what ratios are against, others ours too
	rows    []string
	values  map[string]map[string]series
	goals   map[string]goal // by row; "" is that of all others
	why     string          // the page that missed rows are explained on, with goals
}

func newTable(title, note string, systems ...string) *table {
	return &table{title: title, note: note, systems: systems, values: map[string]map[string]series{}}
}

// wants sets the goal of some rows, or of all that have none of their own.
func (t *table) wants(g goal, rows ...string) *table {
	if t.goals == nil {
		t.goals, t.why = map[string]goal{}, "design/performance.md"
	}
	if len(rows) == 0 {
		rows = []string{""}
	}
	for _, row := range rows {
		t.goals[row] = g
	}
	return t
}

func (t *table) goalOf(row string) goal {
	if g, ok := t.goals[row]; ok {
		return g
	}
	return t.goals[""]
}

func (t *table) add(row, system string, value float64) {
	if t.values[row] == nil {
		t.values[row] = map[string]series{}
		t.rows = append(t.rows, row)
	}
	t.values[row][system] = append(t.values[row][system], value)
}

// misses returns those of our systems that miss the row's goal.
func (t *table) misses(row string) []string {
	var out []string
	for i, s := range t.systems {
		values := t.values[row][s]
		if i != 1 && len(values) > 0 && t.goalOf(row).missed(values.median(), t.values[row][t.systems[1]].median()) {
			out = append(out, s)
		}
	}
	return out
}

// met counts the rows that have a goal and those that reach it.
func (t *table) met() (met, goals int) {
	for _, row := range t.rows {
		if t.goalOf(row) == (goal{}) {
			continue
		}
		goals++
		if len(t.misses(row)) == 0 {
			met++
		}
	}
	return met, goals
}

// ratio is that of one of our systems to the peer.
func (t *table) ratio(row, system string) string {
	ours, theirs := t.values[row][system], t.values[row][t.systems[1]].median()
	if theirs <= 0 || len(ours) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", ours.median()/theirs)
}

// markdown writes the table with a ratio of each of our systems to the second one, and
// which rows miss their goal.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| figure | %s | ratio |", t.title, t.note, strings.Join(t.systems, " | "))
	for _, s := range t.systems[min(2, len(t.systems)):] {
		if t.goals != nil {
			fmt.Fprintf(&b, " ratio %s |", strings.TrimPrefix(s, "Millrace "))
		}
	}
	columns := len(t.systems) + 1
	if t.goals != nil {
		b.WriteString(" goal |")
		columns += max(len(t.systems)-2, 0)
	}
	fmt.Fprintf(&b, "\n|---|%s", strings.Repeat("--:|", columns))
	if t.goals != nil {
		b.WriteString("---|")
	}
	b.WriteString("\n")
	for _, row := range t.rows {
		t.writeRow(&b, row)
	}
	return b.String()
}

func (t *table) writeRow(b *strings.Builder, row string) {
	fmt.Fprintf(b, "| %s |", row)
	for _, s := range t.systems {
		b.WriteString(" " + figure(t.values[row][s]) + " |")
	}
	fmt.Fprintf(b, " %s |", t.ratio(row, t.systems[0]))
	if t.goals == nil {
		b.WriteString("\n")
		return
	}
	for _, s := range t.systems[min(2, len(t.systems)):] {
		fmt.Fprintf(b, " %s |", t.ratio(row, s))
	}
	missed := t.misses(row)
	switch {
	case t.goalOf(row) == (goal{}):
		b.WriteString(" |\n")
	case len(missed) == 0:
		fmt.Fprintf(b, " %s: met |\n", t.goalOf(row))
	default:
		fmt.Fprintf(b, " %s: [**missed**](%s) by %s |\n", t.goalOf(row), t.why, strings.Join(missed, ", "))
	}
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
	case m >= 0.1 || m == 0:
		return fmt.Sprintf("%.2f", m)
	default:
		return fmt.Sprintf("%.3f", m)
	}
}

func TestATableMarksMissedGoals(t *testing.T) {
	tab := newTable("Title", "Note.", "Millrace fsync", "Apache Kafka", "Millrace os").wants(goal{ratioMin: 1}).wants(goal{valueMax: 100}, "idle")
	for _, v := range []struct {
		row    string
		values [3]float64
	}{{"fast", [3]float64{20, 10, 30}}, {"slow", [3]float64{5, 10, 10}}, {"os only", [3]float64{10, 10, 9}}, {"idle", [3]float64{50, 500, 120}}} {
		for i, s := range tab.systems {
			tab.add(v.row, s, v.values[i])
		}
	}
	const want = `
## Title

Note.

| figure | Millrace fsync | Apache Kafka | Millrace os | ratio | ratio os | goal |
|---|--:|--:|--:|--:|--:|---|
| fast | 20.0 | 10.0 | 30.0 | 2.00 | 3.00 | ratio ≥ 1: met |
| slow | 5.00 | 10.0 | 10.0 | 0.50 | 1.00 | ratio ≥ 1: [**missed**](design/performance.md) by Millrace fsync |
| os only | 10.0 | 10.0 | 9.00 | 1.00 | 0.90 | ratio ≥ 1: [**missed**](design/performance.md) by Millrace os |
| idle | 50.0 | 500.0 | 120.0 | 0.10 | 0.24 | ≤ 100: [**missed**](design/performance.md) by Millrace os |
`
	if got := tab.markdown(); got != want {
		t.Fatalf("got %s", got)
	}
	if met, goals := tab.met(); met != 1 || goals != 4 {
		t.Fatalf("%d of %d goals", met, goals)
	}
}
