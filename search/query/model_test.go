package query

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/search/analysis"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
)

// memoryRows is a block without pruning.
type memoryRows struct {
	rows    int
	columns map[string]*column.Column
	ids     *column.Column
}

func (r *memoryRows) RowCount() int { return r.rows }
func (r *memoryRows) Column(f *mapping.Field) (*column.Column, error) {
	return r.columns[f.Column], nil
}

func (r *memoryRows) Lower(_ *mapping.Field, c *column.Column) ([]byte, bool) {
	lower, ascii := make([]byte, len(c.Data)), true
	for i, b := range c.Data {
		ascii = ascii && b < 0x80
		if 'A' <= b && b <= 'Z' {
			b += 32
		}
		lower[i] = b
	}
	return lower, ascii
}
func (r *memoryRows) IDs() (*column.Column, error)   { return r.ids, nil }
func (r *memoryRows) MayHaveID(string) (bool, error) { return true, nil }
func (r *memoryRows) Bounds(*mapping.Field) (low, high int64, ok bool, e error) {
	return 0, 0, false, nil
}
func (r *memoryRows) MayHave(*mapping.Field, []byte, bool) (bool, error) { return true, nil }

// testDocument is a document as the model sees it.
type testDocument struct {
	text  string
	level []string
	n     int64
	has   bool // n is there
}

const testMapping = `{"properties":{"text":{"type":"text"},"level":{"type":"keyword"},"n":{"type":"long"}}}`

func makeRows(t *testing.T, documents []testDocument) (*memoryRows, *mapping.Mapping) {
	t.Helper()
	m, err := mapping.Parse([]byte(testMapping))
	if err != nil {
		t.Fatal(err)
	}
	builders := map[string]*column.Builder{}
	for _, f := range m.Columns() {
		builders[f.Path] = column.NewBuilder(f.Type.Kind())
	}
	ids := column.NewBuilder(column.Bytes)
	for row, d := range documents {
		builders["text"].AppendBytes(row, []byte(d.text))
		for _, level := range d.level {
			builders["level"].AppendBytes(row, []byte(level))
		}
		if d.has {
			builders["n"].AppendInt(row, d.n)
		}
		ids.AppendBytes(row, fmt.Appendf(nil, "id:%d", row))
	}
	rows := &memoryRows{rows: len(documents), columns: map[string]*column.Column{}, ids: ids.View(len(documents))}
	for name, b := range builders {
		rows.columns[name] = b.View(len(documents))
	}
	return rows, m
}

// modelQuery is a query and what it means, written as plainly as can be.
type modelQuery struct {
	body  map[string]any
	match func(d testDocument, id int) bool
}

var testWords = []string{"error", "Timeout", "foo.bar", "a_b", "x", "Straße", "10.0.0.1", "login"}

func hasWord(text, word string) bool { return slices.Contains(analysis.Terms(text), word) }

func hasPhrase(text string, words []string) bool {
	terms := analysis.Terms(text)
	for i := range terms {
		if i+len(words) <= len(terms) && slices.Equal(terms[i:i+len(words)], words) {
			return true
		}
	}
	return false
}

func randomModelQuery(r *rand.Rand, depth int) modelQuery {
	word := testWords[r.IntN(len(testWords))]
	lower := strings.ToLower(word)
	switch n := r.IntN(9); {
	case n < 3 && depth > 0:
		return randomModelBool(r, depth)
	case n == 3:
		two := word + " " + testWords[r.IntN(len(testWords))]
		return modelQuery{map[string]any{"match_phrase": map[string]any{"text": two}}, func(d testDocument, _ int) bool { return hasPhrase(d.text, analysis.Terms(two)) }}
	case n == 4:
		low, high := int64(r.IntN(20)), int64(r.IntN(20))
		return modelQuery{map[string]any{"range": map[string]any{"n": map[string]any{"gte": low, "lt": high}}}, func(d testDocument, _ int) bool { return d.has && low <= d.n && d.n < high }}
	case n == 5:
		level := []string{"INFO", "ERROR", "x"}[r.IntN(3)]
		return modelQuery{map[string]any{"term": map[string]any{"level": level}}, func(d testDocument, _ int) bool { return slices.Contains(d.level, level) }}
	case n == 6:
		return modelQuery{map[string]any{"exists": map[string]any{"field": "n"}}, func(d testDocument, _ int) bool { return d.has }}
	case n == 7:
		prefix := string([]rune(lower)[:1])
		return modelQuery{map[string]any{"prefix": map[string]any{"text": prefix}}, func(d testDocument, _ int) bool {
			return slices.ContainsFunc(analysis.Terms(d.text), func(w string) bool { return strings.HasPrefix(w, prefix) })
		}}
	case n == 8:
		id := r.IntN(60)
		return modelQuery{map[string]any{"ids": map[string]any{"values": []any{fmt.Sprintf("id:%d", id), "nope"}}}, func(_ testDocument, row int) bool { return row == id }}
	default:
		return modelQuery{map[string]any{"match": map[string]any{"text": word}}, func(d testDocument, _ int) bool { return hasWord(d.text, lower) }}
	}
}

func randomModelBool(r *rand.Rand, depth int) modelQuery {
	var parts [3][]modelQuery
	body := map[string]any{}
	for i, key := range []string{"must", "should", "must_not"} {
		list := []any{}
		for range r.IntN(4) {
			q := randomModelQuery(r, depth-1)
			parts[i] = append(parts[i], q)
			list = append(list, q.body)
		}
		body[key] = list
	}
	atLeast := 0
	if len(parts[0]) == 0 && len(parts[1]) > 0 {
		atLeast = 1
	}
	if r.IntN(3) == 0 {
		atLeast = r.IntN(4)
		body["minimum_should_match"] = json.Number(fmt.Sprint(atLeast))
	}
	return modelQuery{map[string]any{"bool": body}, func(d testDocument, row int) bool {
		hits := 0
		for _, q := range parts[1] {
			if q.match(d, row) {
				hits++
			}
		}
		ok := hits >= atLeast
		for _, q := range parts[0] {
			ok = ok && q.match(d, row)
		}
		for _, q := range parts[2] {
			ok = ok && !q.match(d, row)
		}
		return ok
	}}
}

// TestQueriesAgainstTheModel runs random queries over random documents.
func TestQueriesAgainstTheModel(t *testing.T) {
	const seed, rounds = 3, 3000
	r := rand.New(rand.NewPCG(seed, 1))
	var documents []testDocument
	for range 150 {
		var words []string
		for range r.IntN(7) {
			words = append(words, testWords[r.IntN(len(testWords))])
		}
		d := testDocument{text: strings.Join(words, []string{" ", "-", ", ", "=", "."}[r.IntN(5)]), n: int64(r.IntN(20)), has: r.IntN(4) > 0}
		for range r.IntN(3) {
			d.level = append(d.level, []string{"INFO", "ERROR"}[r.IntN(2)])
		}
		documents = append(documents, d)
	}
	rows, m := makeRows(t, documents)
	for round := range rounds {
		mq := randomModelQuery(r, 3)
		body := decodeAgain(t, mq.body)
		q, err := Parse(body)
		if err != nil {
			t.Fatalf("%v: %v", body, err)
		}
		f, err := Compile(q, m, "test", time.Now())
		if err != nil {
			t.Fatalf("%v: %v", body, err)
		}
		found := column.FullBitmap(rows.rows)
		if err := f.Apply(rows, found); err != nil {
			t.Fatal(err)
		}
		for row, d := range documents {
			if got, want := found.Has(row), mq.match(d, row); got != want {
				t.Fatalf("seed %d round %d: document %+v matches %v, want %v, in\n%v", seed, round, d, got, want, body)
			}
		}
	}
}

// decodeAgain gives a body the types that a request has.
func decodeAgain(t *testing.T, body any) any {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(content)))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func FuzzQueryString(f *testing.F) {
	for _, seed := range []string{"error AND (text:x OR level:ERROR)", "\"a b\"~2 -c", "n:[1 TO *}", "a* ?b /x/ _exists_:n", "((((", "\\", "a^2 b~"} {
		f.Add(seed, true)
	}
	rows, m := makeRows(&testing.T{}, []testDocument{{text: "error timeout", n: 1, has: true}})
	f.Fuzz(func(t *testing.T, text string, and bool) {
		filter, err := Compile(FromLucene(text, "", and, true), m, "test", time.Unix(0, 0))
		if err != nil {
			return
		}
		if err := filter.Apply(rows, column.FullBitmap(1)); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDSL(f *testing.F) {
	for _, seed := range []string{`{"match":{"text":"x"}}`, `{"bool":{"must":[{"term":{"level":{"value":"x"}}}],"minimum_should_match":"-1"}}`, `{"range":{"n":{"gte":"now-1d/d"}}}`, `{"wildcard":{"text":"*a?b\\*"}}`, `{"ids":{"values":[1]}}`, `{"terms":{"n":[1,"2"]}}`} {
		f.Add([]byte(seed))
	}
	rows, m := makeRows(&testing.T{}, []testDocument{{text: "error timeout", n: 1, has: true}})
	f.Fuzz(func(t *testing.T, body []byte) {
		var value any
		dec := json.NewDecoder(strings.NewReader(string(body)))
		dec.UseNumber()
		if dec.Decode(&value) != nil {
			return
		}
		q, err := Parse(value)
		if err != nil {
			return
		}
		filter, err := Compile(q, m, "test", time.Unix(0, 0))
		if err != nil {
			return
		}
		if err := filter.Apply(rows, column.FullBitmap(1)); err != nil {
			t.Fatal(err)
		}
	})
}
