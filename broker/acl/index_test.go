package acl

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func allowTo(principal string, op Operation, p Pattern) Binding {
	return Binding{Pattern: p, Principal: principal, Host: Wildcard, Operation: op, Permission: Allow}
}

func denyTo(principal string, op Operation, p Pattern) Binding {
	b := allowTo(principal, op, p)
	b.Permission = Deny
	return b
}

func literal(name string) Pattern  { return Pattern{ResourceTopic, name, PatternLiteral} }
func prefixed(name string) Pattern { return Pattern{ResourceTopic, name, PatternPrefixed} }

func indexOf(bindings ...Binding) *Index {
	changes := make([]Change, len(bindings))
	for i, b := range bindings {
		changes[i].Binding = b
	}
	return new(Index).With(changes)
}

func TestDecisions(t *testing.T) {
	const a, b = "User:a", "User:b"
	fromHost := func(host string, binding Binding) Binding { binding.Host = host; return binding }
	for _, c := range []struct {
		name     string
		bindings []Binding
		who      string
		op       Operation
		topic    string
		want     bool
	}{
		{"nothing there", nil, a, Read, "t", false},
		{"a super user", []Binding{denyTo("User:root", OperationAll, literal(Wildcard))}, "User:root", Alter, "t", true},
		{"literal", []Binding{allowTo(a, Read, literal("t"))}, a, Read, "t", true},
		{"literal of another", []Binding{allowTo(b, Read, literal("t"))}, a, Read, "t", false},
		{"literal is no prefix", []Binding{allowTo(a, Read, literal("t"))}, a, Read, "tt", false},
		{"another operation", []Binding{allowTo(a, Read, literal("t"))}, a, Write, "t", false},
		{"all operations", []Binding{allowTo(a, OperationAll, literal("t"))}, a, AlterConfigs, "t", true},
		{"every principal", []Binding{allowTo(WildcardPrincipal, Read, literal("t"))}, a, Read, "t", true},
		{"wildcard", []Binding{allowTo(a, Read, literal(Wildcard))}, a, Read, "anything", true},
		{"prefix", []Binding{allowTo(a, Read, prefixed("te"))}, a, Read, "test", true},
		{"prefix is the whole name", []Binding{allowTo(a, Read, prefixed("te"))}, a, Read, "te", true},
		{"prefix is longer", []Binding{allowTo(a, Read, prefixed("test"))}, a, Read, "te", false},
		{"prefix behind others", []Binding{allowTo(a, Read, prefixed("f")), allowTo(b, Read, prefixed("fa")), allowTo(b, Read, prefixed("fb"))}, a, Read, "foobar", true},
		{"prefix called star", []Binding{allowTo(a, Read, prefixed("*"))}, a, Read, "test", false},
		{"deny wins over literal", []Binding{allowTo(a, Read, literal("t")), denyTo(a, Read, literal(Wildcard))}, a, Read, "t", false},
		{"deny by prefix wins over wildcard", []Binding{allowTo(a, Read, literal(Wildcard)), denyTo(a, Read, prefixed("t"))}, a, Read, "t", false},
		{"deny for all wins over one", []Binding{allowTo(a, Read, literal("t")), denyTo(WildcardPrincipal, Read, literal("t"))}, a, Read, "t", false},
		{"deny of another operation", []Binding{allowTo(a, Read, literal("t")), denyTo(a, Write, literal("t"))}, a, Read, "t", true},
		{"read includes describe", []Binding{allowTo(a, Read, literal("t"))}, a, Describe, "t", true},
		{"write includes describe", []Binding{allowTo(a, Write, literal("t"))}, a, Describe, "t", true},
		{"delete includes describe", []Binding{allowTo(a, Delete, literal("t"))}, a, Describe, "t", true},
		{"alter includes describe", []Binding{allowTo(a, Alter, literal("t"))}, a, Describe, "t", true},
		{"create does not include describe", []Binding{allowTo(a, Create, literal("t"))}, a, Describe, "t", false},
		{"alter configs include describe configs", []Binding{allowTo(a, AlterConfigs, literal("t"))}, a, DescribeConfigs, "t", true},
		{"describe does not include describe configs", []Binding{allowTo(a, Describe, literal("t"))}, a, DescribeConfigs, "t", false},
		{"denied read does not deny describe", []Binding{allowTo(a, Describe, literal("t")), denyTo(a, Read, literal("t"))}, a, Describe, "t", true},
		{"denied all denies describe", []Binding{allowTo(a, Describe, literal("t")), denyTo(a, OperationAll, literal("t"))}, a, Describe, "t", false},
		{"from the host", []Binding{fromHost("10.0.0.1", allowTo(a, Read, literal("t")))}, a, Read, "t", true},
		{"from another host", []Binding{fromHost("10.0.0.2", allowTo(a, Read, literal("t")))}, a, Read, "t", false},
		{"denied from the host", []Binding{allowTo(a, Read, literal("t")), fromHost("10.0.0.1", denyTo(a, Read, literal("t")))}, a, Read, "t", false},
		{"an address in Kafka's form", []Binding{fromHost("0:0:0:0:0:ffff:a00:1", allowTo(a, Read, literal("t")))}, a, Read, "t", true},
		{"another type", []Binding{allowTo(a, Read, Pattern{ResourceGroup, "t", PatternLiteral})}, a, Read, "t", false},
	} {
		closed, err := NewAuthorizer([]string{"User:root"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := closed.Authorize(indexOf(c.bindings...), c.who, "10.0.0.1", c.op, Topic(c.topic)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestAllowEveryoneConcernsWhatHasNoBindings: one binding, of whomever, closes a resource.
func TestAllowEveryoneConcernsWhatHasNoBindings(t *testing.T) {
	open, err := NewAuthorizer(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	x := indexOf(allowTo("User:b", Read, literal("closed")), allowTo("User:b", Read, prefixed("also-")))
	for topic, want := range map[string]bool{"closed": false, "also-closed": false, "open": true} {
		if got := open.Authorize(x, "User:a", "h", Read, Topic(topic)); got != want {
			t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
}

func TestSuperUsersAreNamedInFull(t *testing.T) {
	for _, bad := range []string{"", "root", ":root"} {
		if _, err := NewAuthorizer([]string{bad}, false); err == nil {
			t.Errorf("%q was taken for a principal", bad)
		}
	}
}

// world makes random bindings and questions that meet often.
type world struct{ *rand.Rand }

func (w world) name() string {
	n := 1 + w.IntN(5)
	b := make([]byte, n)
	for i := range b {
		b[i] = "ab."[w.IntN(3)]
	}
	return string(b)
}

func (w world) binding() Binding {
	b := Binding{
		Pattern:   Pattern{Type: ResourceTopic + ResourceType(w.IntN(2)), Name: w.name(), Kind: PatternLiteral + PatternType(w.IntN(2))},
		Principal: []string{"User:a", "User:b", WildcardPrincipal}[w.IntN(3)],
		Host:      []string{"1", "2", Wildcard}[w.IntN(3)],
		Operation: OperationAll + Operation(w.IntN(int(operations-OperationAll))), Permission: Deny + Permission(min(w.IntN(4), 1)),
	}
	if w.IntN(8) == 0 {
		b.Name = Wildcard
	}
	return b
}

// naive is the rules as they are written down, one binding after the other.
func naive(bindings map[Binding]bool, principal, host string, op Operation, r Resource, open bool) bool {
	found, allow := false, false
	for b := range bindings {
		applies := b.Name == r.Name || b.Kind == PatternLiteral && b.Name == Wildcard || b.Kind == PatternPrefixed && strings.HasPrefix(r.Name, b.Name)
		if b.Type != r.Type || !applies {
			continue
		}
		found = true
		if b.Principal != principal && b.Principal != WildcardPrincipal || b.Host != host && b.Host != Wildcard {
			continue
		}
		matches := b.Operation == op || b.Operation == OperationAll
		if b.Permission == Deny {
			if matches {
				return false
			}
			continue
		}
		switch op { //nolint:exhaustive // nothing implies the others
		case Describe:
			matches = matches || slices.Contains([]Operation{Read, Write, Delete, Alter}, b.Operation)
		case DescribeConfigs:
			matches = matches || b.Operation == AlterConfigs
		}
		allow = allow || matches
	}
	return allow || !found && open
}

func naiveAny(bindings map[Binding]bool, principal, host string, op Operation, kind ResourceType) bool {
	applies := func(b Binding) bool {
		return b.Type == kind && (b.Principal == principal || b.Principal == WildcardPrincipal) &&
			(b.Host == host || b.Host == Wildcard) && (b.Operation == op || b.Operation == OperationAll)
	}
	denied := func(name string, isPrefix bool) bool {
		for b := range bindings {
			if applies(b) && b.Permission == Deny &&
				(b.Kind == PatternPrefixed && strings.HasPrefix(name, b.Name) || b.Kind == PatternLiteral && !isPrefix && b.Name == name) {
				return true
			}
		}
		return false
	}
	any := false
	for b := range bindings {
		if !applies(b) {
			continue
		}
		if b.Kind == PatternLiteral && b.Name == Wildcard {
			if b.Permission == Deny {
				return false
			}
			any = true
			continue
		}
		any = any || b.Permission == Allow && !denied(b.Name, b.Kind == PatternPrefixed)
	}
	if any {
		return true
	}
	for b := range bindings { // a wildcard that allows is not weighed against prefixes
		if applies(b) && b.Kind == PatternLiteral && b.Name == Wildcard && b.Permission == Allow {
			return true
		}
	}
	return false
}

func TestIndexAnswersAsTheRulesAreWritten(t *testing.T) {
	for seed := range uint64(60) {
		w := world{rand.New(rand.NewPCG(seed, 0))}
		open := seed%3 == 0
		authorizer, err := NewAuthorizer(nil, open)
		if err != nil {
			t.Fatal(err)
		}
		x, model := new(Index), map[Binding]bool{}
		older, olderAnswers := x, map[string]bool{}
		ask := func(x *Index, i int) bool {
			q := world{rand.New(rand.NewPCG(seed, uint64(i)))}
			return authorizer.Authorize(x, "User:a", "1", OperationAll+1+Operation(q.IntN(13)), Resource{ResourceTopic, q.name()})
		}
		for step := range 120 {
			var changes []Change
			for range 1 + w.IntN(4) {
				c := Change{Binding: w.binding()}
				if len(model) > 25 || len(model) > 0 && w.IntN(3) == 0 {
					c = Change{Binding: anyOf(w, model), Removed: true}
				}
				changes = append(changes, c)
				if c.Removed {
					delete(model, c.Binding)
				} else {
					model[c.Binding] = true
				}
			}
			x = x.With(changes)
			if x.Len() != len(model) {
				t.Fatalf("seed %d step %d: %d bindings, want %d", seed, step, x.Len(), len(model))
			}
			for range 20 {
				who, host := []string{"User:a", "User:b", "User:c", WildcardPrincipal}[w.IntN(4)], []string{"1", "2", "3"}[w.IntN(3)]
				op := OperationAll + 1 + Operation(w.IntN(int(operations-OperationAll)-1))
				r := Resource{ResourceTopic + ResourceType(w.IntN(2)), w.name()}
				if got, want := authorizer.Authorize(x, who, host, op, r), naive(model, who, host, op, r, open); got != want {
					t.Fatalf("seed %d step %d: %s from %s %s %v: %v, want %v\n%v", seed, step, who, host, op, r, got, want, model)
				}
				want := naiveAny(model, who, host, op, r.Type) || naive(model, who, host, op, Resource{r.Type, "hardcode"}, open)
				if got := authorizer.AuthorizeAny(x, who, host, op, r.Type); got != want {
					t.Fatalf("seed %d step %d: %s from %s %s any %s: %v, want %v\n%v", seed, step, who, host, op, r.Type, got, want, model)
				}
			}
			if step == 60 {
				older = x
				for i := range 50 {
					olderAnswers[fmt.Sprint(i)] = ask(x, i)
				}
			}
		}
		for i := range 50 {
			if ask(older, i) != olderAnswers[fmt.Sprint(i)] {
				t.Fatalf("seed %d: an index changed after it was made", seed)
			}
		}
	}
}

// anyOf picks a key by the seed alone, whatever the order of the map.
func anyOf(w world, model map[Binding]bool) Binding {
	all := make([]Binding, 0, len(model))
	for b := range model {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Binding) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return all[w.IntN(len(all))]
}

func manyBindings(n int) []Binding {
	bindings := make([]Binding, n)
	for i := range bindings {
		who := fmt.Sprintf("User:service-%04d", i%500)
		switch i % 4 {
		case 0:
			bindings[i] = allowTo(who, Write, literal(fmt.Sprintf("team-%03d.topic-%05d", i%300, i)))
		case 1:
			bindings[i] = allowTo(who, Read, prefixed(fmt.Sprintf("team-%03d.%03d-%d", i%300, i%77, i)))
		case 2:
			bindings[i] = denyTo(who, Delete, prefixed(fmt.Sprintf("team-%03d.", i%300)))
			bindings[i].Host = fmt.Sprintf("10.0.%d.%d", i/250%250, i%250)
		default:
			bindings[i] = allowTo(who, Describe, literal(Wildcard))
			bindings[i].Host = fmt.Sprintf("10.1.%d.%d", i/250%250, i%250)
		}
	}
	return bindings
}

func TestADecisionDoesNotAllocate(t *testing.T) {
	x := indexOf(manyBindings(10_000)...)
	if x.Len() != 10_000 {
		t.Fatalf("%d bindings", x.Len())
	}
	authorizer, err := NewAuthorizer([]string{"User:root"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		authorizer.Authorize(x, "User:service-0100", "10.0.0.1", Write, Topic("team-100.topic-00100"))
	}); n != 0 {
		t.Errorf("a decision allocates %v times", n)
	}
	if !authorizer.Authorize(x, "User:service-0100", "10.0.0.1", Write, Topic("team-100.topic-00100")) {
		t.Error("the topic's own binding is not found")
	}
}

// BenchmarkDecision asks 10,000 bindings.
func BenchmarkDecision(b *testing.B) {
	x := indexOf(manyBindings(10_000)...)
	authorizer, err := NewAuthorizer([]string{"User:root"}, false)
	if err != nil {
		b.Fatal(err)
	}
	topics := make([]Resource, 1024)
	for i := range topics {
		topics[i] = Topic(fmt.Sprintf("team-%03d.topic-%05d", i%300, i*4))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		authorizer.Authorize(x, "User:service-0100", "10.0.0.1", Write, topics[i&1023])
		i++
	}
}

// BenchmarkChange adds one binding to 10,000.
func BenchmarkChange(b *testing.B) {
	x := indexOf(manyBindings(10_000)...)
	added := []Change{{Binding: allowTo("User:new", Read, prefixed("team-new"))}}
	for b.Loop() {
		x.With(added)
	}
}
