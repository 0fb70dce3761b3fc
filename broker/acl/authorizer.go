package acl

import (
	"fmt"
	"strings"
)

// Authorizer holds what does not change while the broker runs.
type Authorizer struct {
	superUsers    map[string]bool
	allowEveryone bool
}

// NewAuthorizer returns an authorizer whose super users may do everything. With
// allowEveryone what has no bindings is open to all; without it, closed. An
// error names a super user that is not of the form Type:name.
func NewAuthorizer(superUsers []string, allowEveryone bool) (*Authorizer, error) {
	a := &Authorizer{superUsers: make(map[string]bool), allowEveryone: allowEveryone}
	for _, principal := range superUsers {
		if err := CheckPrincipal(principal); err != nil {
			return nil, err
		}
		a.superUsers[principal] = true
	}
	return a, nil
}

// CheckPrincipal says why a text is not a principal.
func CheckPrincipal(principal string) error {
	kind, _, ok := strings.Cut(principal, ":")
	if !ok || kind == "" {
		return fmt.Errorf("%q is no principal: expected one of the form User:name", principal)
	}
	return nil
}

// Authorize reports whether a principal may do op from host, an address in the
// form of netip.Addr. It does not allocate.
func (a *Authorizer) Authorize(x *Index, principal, host string, op Operation, r Resource) bool {
	if a.superUsers[principal] {
		return true
	}
	switch x.decide(principal, host, op, r) {
	case allowed:
		return true
	case denied:
		return false
	case undecided:
	}
	return a.allowEveryone
}

// AuthorizeAny reports whether a principal may do op to at least one resource of
// a type, whether it exists or not (KIP-679). Like Kafka's it does not count what
// other operations imply.
func (a *Authorizer) AuthorizeAny(x *Index, principal, host string, op Operation, kind ResourceType) bool {
	if a.Authorize(x, principal, host, op, Resource{kind, "hardcode"}) {
		return true
	}
	deniedNames, deniedPrefixes := make(map[string]bool), make(map[string]bool)
	allowedNames, allowedPrefixes := make(map[string]bool), make(map[string]bool)
	for b := range x.applying(principal, host, op, kind) {
		names, prefixes := allowedNames, allowedPrefixes
		if b.Permission == Deny {
			names, prefixes = deniedNames, deniedPrefixes
		}
		if b.Kind == PatternPrefixed {
			prefixes[b.Name] = true
		} else {
			names[b.Name] = true
		}
	}
	switch {
	case deniedNames[Wildcard]:
		return false
	case allowedNames[Wildcard]:
		return true
	}
	for name := range allowedNames {
		if !deniedNames[name] && !hasPrefixIn(name, deniedPrefixes) {
			return true
		}
	}
	for prefix := range allowedPrefixes {
		if !hasPrefixIn(prefix, deniedPrefixes) {
			return true
		}
	}
	return false
}

// applying yields the bindings of a kind of resource that name the operation, or all.
func (x *Index) applying(principal, host string, op Operation, kind ResourceType) func(func(Binding) bool) {
	return func(yield func(Binding) bool) {
		for _, who := range []string{principal, WildcardPrincipal} {
			for b := range x.types[kind].principals[who] {
				if b.Host != Wildcard && canonicalHost(b.Host) != host || b.Operation != op && b.Operation != OperationAll {
					continue
				}
				if !yield(b) {
					return
				}
			}
			if principal == WildcardPrincipal {
				return
			}
		}
	}
}

func hasPrefixIn(name string, prefixes map[string]bool) bool {
	for i := range len(name) {
		if prefixes[name[:i+1]] {
			return true
		}
	}
	return false
}
