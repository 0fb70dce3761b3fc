package acl

import (
	"slices"
	"strings"
	"testing"
)

func TestFilters(t *testing.T) {
	bindings := map[string]Binding{
		"literal":  allowTo("User:a", Read, literal("foo")),
		"other":    allowTo("User:b", Write, literal("bar")),
		"prefix":   denyTo("User:a", Read, prefixed("fo")),
		"wildcard": allowTo("User:a", OperationAll, literal(Wildcard)),
		"group":    allowTo("User:a", Read, Pattern{ResourceGroup, "foo", PatternLiteral}),
	}
	all := Filter{ResourceType: ResourceAny, PatternType: PatternAny, Operation: OperationAny, Permission: PermissionAny}
	with := func(change func(*Filter)) Filter { f := all; change(&f); return f }
	for _, c := range []struct {
		name   string
		filter Filter
		want   string
	}{
		{"all", all, "literal other prefix wildcard group"},
		{"type", with(func(f *Filter) { f.ResourceType = ResourceGroup }), "group"},
		{"name of any kind", with(func(f *Filter) { f.Name = new("foo") }), "literal group"},
		{"literal", with(func(f *Filter) { f.PatternType = PatternLiteral }), "literal other wildcard group"},
		{"literal of a name", with(func(f *Filter) { f.PatternType, f.Name = PatternLiteral, new("foo") }), "literal group"},
		{"prefixed", with(func(f *Filter) { f.PatternType = PatternPrefixed }), "prefix"},
		{"match", with(func(f *Filter) { f.PatternType, f.Name = PatternMatch, new("foo") }), "literal prefix wildcard group"},
		{"match with a longer name", with(func(f *Filter) { f.PatternType, f.Name = PatternMatch, new("food") }), "prefix wildcard"},
		{"match of the wildcard", with(func(f *Filter) { f.PatternType, f.Name = PatternMatch, new("*") }), "wildcard"},
		{"match without a name", with(func(f *Filter) { f.PatternType = PatternMatch }), "literal other prefix wildcard group"},
		{"principal", with(func(f *Filter) { f.Principal = new("User:b") }), "other"},
		{"host", with(func(f *Filter) { f.Host = new("10.0.0.1") }), ""},
		{"any host is a name here", with(func(f *Filter) { f.Host = new("*") }), "literal other prefix wildcard group"},
		{"operation", with(func(f *Filter) { f.Operation = OperationAll }), "wildcard"},
		{"permission", with(func(f *Filter) { f.Permission = Deny }), "prefix"},
	} {
		got := map[string]bool{}
		for name, b := range bindings {
			if c.filter.Matches(&b) {
				got[name] = true
			}
		}
		for name := range bindings {
			if want := slices.Contains(strings.Fields(c.want), name); got[name] != want {
				t.Errorf("%s: %s is picked: %v, want %v", c.name, name, got[name], want)
			}
		}
		if !c.filter.Known() {
			t.Errorf("%s: the filter is not known", c.name)
		}
	}
	if (&Filter{}).Known() {
		t.Error("an empty filter is known")
	}
}

func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	for o := OperationAny; o < operations; o++ {
		text, err := o.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Operation
		if err := back.UnmarshalText(text); err != nil || back != o {
			t.Errorf("%s is read as %s: %v", text, back, err)
		}
	}
	for text, want := range map[string]ResourceType{"topic": ResourceTopic, "transactional-id": ResourceTransactionalID, "TransactionalId": ResourceTransactionalID, "USER": ResourceUser} {
		var got ResourceType
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s is read as %s: %v", text, got, err)
		}
	}
	var p Permission
	if err := p.UnmarshalText([]byte("maybe")); err == nil {
		t.Error("a permission called maybe")
	}
	if Operation(99).String() != "UNKNOWN" || ResourceType(-1).Known() {
		t.Error("a code that is not known has a name")
	}
}
