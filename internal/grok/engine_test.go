package grok

import (
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// groups compiles a regular expression whose groups are all captured, as the
// engine and as Go's regexp package see it.
func groups(t testing.TB, re string) (*program, *regexp.Regexp) {
	t.Helper()
	goRE, err := regexp.Compile("(?m)" + re)
	if err != nil {
		t.Skipf("regexp: %v", err)
	}
	n, named := 0, ""
	for i := 0; i < len(re); i++ {
		switch {
		case re[i] == '\\' && i+1 < len(re):
			named += re[i : i+2]
			i++
		case re[i] == '[':
			end := strings.IndexByte(re[i:], ']')
			named += re[i : i+end+1]
			i += end
		case re[i] == '(' && !strings.HasPrefix(re[i:], "(?"):
			named += "(?P<c" + string(rune('0'+n)) + ">"
			n++
		default:
			named += re[i : i+1]
		}
	}
	p, err := compile("(?m)"+named, n)
	if err != nil {
		t.Fatalf("%s: %v", re, err)
	}
	return p, goRE
}

// bothMachines checks that each machine finds what Go's package finds.
func bothMachines(t *testing.T, re, text string) {
	t.Helper()
	p, goRE := groups(t, re)
	want := goRE.FindStringSubmatchIndex(text)
	m := &machine{}
	compare := func(name string, found bool) {
		if found != (want != nil) || found && !slices.Equal(m.slots, want[2:]) {
			t.Errorf("%s: %q in %q: got %v %v, want %v", name, re, text, found, m.slots, want)
		}
	}
	compare("backtracking", m.match(p, text))
	m.slots = resized(m.slots, p.slots)
	compare("parallel", m.par.match(p, text, 0, m.slots))
}

func TestBothMachinesMatchAsGoDoes(t *testing.T) {
	texts := []string{
		"", "a", "b", "ab", "aab", "abcabc", "aaaaaaab", "x=1 y=22", "key=\"va\\\"l ue\" b", "ünï cödé", "日本 12:30",
		"line one\nline two\n", "10.0.0.1 - - [x] \"GET /\" 200", "aXbXc", "  lead", "trail  ", "1.5e3,-2", "ſK ss",
	}
	for _, re := range []string{
		`a*`, `a+b`, `(a|ab)(c|bcd)*`, `(a*)*`, `(a*)+b`, `(a?)*?b`, `(a|b)*?c`, `^(\w+) (.*)$`, `(\S+)\s+(\S+)`,
		`(\w+)=(\d+)`, `"((?:\\.|[^\\"])*)"`, `(.*?):(.*)`, `([^ ]*) ([^ ]*)`, `\bb\b`, `(?i)(ABC)+`, `(?i)ss`, `(?i)k`, `x{2,3}`, `a{2,4}?b`,
		`(a{1,2}){2}`, `(\d{1,3})\.(\d{1,3})`, `[äöü]+`, `[^a-z]+`, `(?s).+`, `.+`, `(.*)(\d)(.*)`, `(.*X)(.*)`, `$`, `^$`, `^`, `a|`, `|a`,
		`(?:(a)|b)*`, `(?:(a)|(b))+`, `(a+|b+)*c`, `\pL+`, `日.`, `(.)(.)`, `(\w*)(\w)`, `(x*)(y*)z?`, `(?:a*?)(b*)`, `([ab]*?)b`, `two$`, `^line`,
		`\Aline`, `two\n\z`, `(?:^|x)(\w)`, `(a*)(b|$)`, `()`, `(()|a)*`, `(a|()){3}b`, `[^\s"]{1,4}`, `.{0,3}日`,
	} {
		for _, text := range texts {
			bothMachines(t, re, text)
		}
	}
}

func FuzzEngine(f *testing.F) {
	f.Add(`(a|ab)(c|bcd)*`, "abcd")
	f.Add(`(\S+) \[(.*?)\]`, "x [y]")
	f.Add(`(a*)*?(b?)+`, "aab")
	f.Add(`(?i)[a-k]+(é|É)$`, "ABÉ")
	f.Fuzz(func(t *testing.T, re, text string) {
		if len(re) > 60 || len(text) > 200 || strings.Contains(re, "?P") || strings.Contains(re, "?<") || strings.Count(re, "(") > 9 || strings.Contains(re, "[") ||
			strings.Contains(re, `\Q`) || strings.Contains(re, `\C`) {
			t.Skip("not of interest, or not known to the test's own rewriting")
		}
		bothMachines(t, re, strings.ToValidUTF8(text, "?"))
	})
}

func TestLookAround(t *testing.T) {
	for _, tt := range []struct{ pattern, text, want string }{
		{`(?<x>(?<![0-9])[0-9]{3}(?![0-9]))`, "12345 678 90", "678"},
		{`(?<x>(?<=:)\w+)`, "a b:c", "c"},
		{`(?<x>\w+(?=;))`, "ab cd; ef", "cd"},
		{`(?<x>(?<!\\)"[^"]*")`, `\"a" "b"`, `" "`},
		{`(?<x>a(?!b).)`, "ab ac", "ac"},
		{`(?<x>\w(?<!ä))`, "äx", "x"},
	} {
		p, err := ECS().Compile(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, work := range []string{"backtracking", "parallel"} {
			got := ""
			m := &machine{}
			ok := m.match(p.prog, tt.text)
			if work == "parallel" {
				m.slots = resized(m.slots, p.prog.slots)
				ok = m.par.match(p.prog, tt.text, 0, m.slots)
			}
			if ok {
				got = tt.text[m.slots[0]:m.slots[1]]
			}
			if got != tt.want {
				t.Errorf("%s: %s in %q: got %q, want %q", work, tt.pattern, tt.text, got, tt.want)
			}
		}
	}
}

// TestWorkIsBounded: patterns that make backtracking machines hang.
func TestWorkIsBounded(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{`^(?:a+)+$`, long + "!", false},
		{`^(?:a|aa)+$`, long + "!", false},
		{`(?:a*)*(?:b|c)`, long, false},
		{`(?:.*a){12}!`, long, false},
		{`(?<x>(?:a|a)*)!`, long + "!", true},
		{`%{GREEDYDATA:a} %{GREEDYDATA:b} %{GREEDYDATA:c}=%{GREEDYDATA:d}`, strings.Repeat("x ", 20_000), false},
		{`%{COMBINEDAPACHELOG}`, strings.Repeat(`a.b.c - "] "`, 5000), false},
	} {
		p, err := ECS().Compile(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		start := processorTime(t)
		if got := p.Match(tt.text, nil); got != tt.want {
			t.Errorf("%s: got %v", tt.pattern, got)
		}
		if took := processorTime(t) - start; took > 20*time.Second {
			t.Errorf("%s took %s", tt.pattern, took)
		}
	}
}

// processorTime is what this process has used: what others do on the machine does not count.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
