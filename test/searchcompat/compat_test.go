package searchcompat

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/test/nodes"
)

func quote(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err) // text can be written
	}
	return string(out)
}

// pair is a search node and the Elasticsearch that it is compared with.
type pair struct{ ours, theirs string }

// check sends a request to both and compares the answers.
func (p pair) check(t *testing.T, r request) {
	t.Helper()
	got := send(t, p.ours, r)
	want := send(t, p.theirs, r)
	g, w := comparable(got, r.text), comparable(want, r.text)
	if !reflect.DeepEqual(g, w) {
		t.Errorf("%s %s %s\n ours:   %s\n theirs: %s", r.method, r.path, clip(r.body, 600), show(g), show(w))
	}
}

func show(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return clip(string(out), 1500)
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// TestSameAnswers asks both servers everything of requests_test.go.
func TestSameAnswers(t *testing.T) {
	p := pair{ours: nodes.Search(t), theirs: elasticsearch(t)}
	send(t, p.theirs, request{method: "DELETE", path: "/logs-a,logs-b,w,m1,m2,labels-1,lg-b1,lg-c1?ignore_unavailable=true"})
	for _, name := range []string{"logs", "x", "x2", "x3"} {
		send(t, p.theirs, request{method: "DELETE", path: "/_index_template/" + name})
	}
	for _, r := range setup() {
		p.check(t, r)
	}
	if t.Failed() {
		t.FailNow()
	}
	t.Run("searches", func(t *testing.T) {
		for _, body := range searches() {
			p.check(t, request{method: "POST", path: "/logs-a/_search", body: body})
		}
	})
	t.Run("urls", func(t *testing.T) {
		for _, r := range urls() {
			p.check(t, r)
		}
	})
	t.Run("random", func(t *testing.T) {
		const seed, rounds = 7, 300
		random := rand.New(rand.NewPCG(seed, 1))
		for range rounds {
			p.check(t, request{method: "POST", path: "/logs-a/_search", body: fmt.Sprintf(`{"size":30,"sort":["seq"],"_source":["seq"],"query":%s}`, randomQuery(random, 3))})
		}
	})
	t.Run("writes", func(t *testing.T) {
		for _, r := range writes() {
			p.check(t, r)
		}
	})
	t.Run("admin", func(t *testing.T) {
		for _, r := range admin() {
			p.check(t, r)
		}
	})
}

// randomQuery makes a query of the DSL.
func randomQuery(random *rand.Rand, depth int) string {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	word := func() string { return words()[random.IntN(len(words()))] }
	if depth > 0 && random.IntN(3) == 0 {
		var parts []string
		for _, kind := range []string{"must", "should", "must_not", "filter"} {
			var list []string
			for range random.IntN(3) {
				list = append(list, randomQuery(random, depth-1))
			}
			if len(list) > 0 {
				parts = append(parts, fmt.Sprintf("%q:[%s]", kind, strings.Join(list, ",")))
			}
		}
		return `{"bool":{` + strings.Join(parts, ",") + `}}`
	}
	switch random.IntN(9) {
	case 0:
		return fmt.Sprintf(`{"match":{"message":{"query":%s,"operator":%q}}}`, quote(word()+" "+word()), pick("and", "or"))
	case 1:
		return fmt.Sprintf(`{"match_phrase":{"message":%s}}`, quote(word()+" "+word()))
	case 2:
		return fmt.Sprintf(`{"term":{"log.level":%q}}`, pick("INFO", "ERROR", "x"))
	case 3:
		return fmt.Sprintf(`{"range":{%q:{%q:%d,%q:%d}}}`, pick("bytes", "seq", "code", "ratio"), pick("gt", "gte"), random.IntN(300), pick("lt", "lte"), random.IntN(3000))
	case 4:
		return fmt.Sprintf(`{"wildcard":{%q:%s}}`, pick("message", "message.raw", "tags", "host.name"), quote(pick("*", "")+string([]rune(word())[:2])+pick("*", "?*")))
	case 5:
		return fmt.Sprintf(`{"exists":{"field":%q}}`, pick("code", "tags", "client", "message", "nope"))
	case 6:
		return fmt.Sprintf(`{"terms":{"tags":[%s,%s]}}`, quote(word()), quote(word()))
	default:
		return fmt.Sprintf(`{"query_string":{"query":%s,"default_operator":%q%s}}`, quote(randomLucene(random, 2)), pick("AND", "OR"), pick("", `,"default_field":"message"`, `,"fields":["message","tags"]`))
	}
}

// randomLucene makes a query in Lucene's syntax.
func randomLucene(random *rand.Rand, depth int) string {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	var out strings.Builder
	for i := range 1 + random.IntN(4) {
		if i > 0 {
			out.WriteString(pick(" ", " AND ", " OR ", " && ", " NOT ", " +", " -"))
		}
		switch random.IntN(7) {
		case 0:
			if depth > 0 {
				out.WriteString(pick("", "NOT ", "message:", "tags:") + "(" + randomLucene(random, depth-1) + ")")
				continue
			}
			fallthrough
		case 1:
			out.WriteString(pick("message:", "log.level:", "tags:") + pick("error", "ERROR", "t*", "?NFO", "\"login failed\"", "user"))
		case 2:
			fmt.Fprintf(&out, "bytes:%s%d TO %d%s", pick("[", "{"), random.IntN(1000), random.IntN(4000), pick("]", "}"))
		case 3:
			out.WriteString("\"" + pick("connection refused", "user login", "error timeout") + "\"")
		case 4:
			out.WriteString(pick("err*", "*out", "lo?in", "_exists_:code", "ok:true", "bytes:>1000"))
		default:
			out.WriteString(pick("error", "timeout", "login", "user", "failed", "refused", "foo.bar", "x-y", "über"))
		}
	}
	return out.String()
}
