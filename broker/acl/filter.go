package acl

import "strings"

// Filter picks bindings. Pointers that are nil and the values Any pick all.
type Filter struct {
	ResourceType ResourceType
	// Name with PatternMatch is a resource: every binding is picked that
	// applies to it. With another pattern type it is the pattern's name.
	Name        *string
	PatternType PatternType
	Principal   *string
	Host        *string
	Operation   Operation
	Permission  Permission
}

// Sound reports whether no part of the filter is the code that stands for what is
// not known: Kafka does not read such a request.
func (f *Filter) Sound() bool {
	return f.ResourceType != ResourceUnknown && f.PatternType != PatternUnknown && f.Operation != OperationUnknown && f.Permission != PermissionUnknown
}

// Known reports whether all parts of the filter are known to this version.
func (f *Filter) Known() bool {
	return f.ResourceType.Known() && f.PatternType.Known() && f.Operation.Known() && f.Permission.Known()
}

// Matches reports whether the filter picks a binding (KIP-290).
func (f *Filter) Matches(b *Binding) bool {
	return (f.ResourceType == ResourceAny || f.ResourceType == b.Type) &&
		f.matchesName(&b.Pattern) &&
		(f.Principal == nil || *f.Principal == b.Principal) &&
		(f.Host == nil || *f.Host == b.Host) &&
		(f.Operation == OperationAny || f.Operation == b.Operation) &&
		(f.Permission == PermissionAny || f.Permission == b.Permission)
}

func (f *Filter) matchesName(p *Pattern) bool {
	if f.PatternType != PatternAny && f.PatternType != PatternMatch && f.PatternType != p.Kind {
		return false
	}
	switch {
	case f.Name == nil:
		return true
	case f.PatternType != PatternMatch:
		return *f.Name == p.Name
	case p.Kind == PatternPrefixed:
		return strings.HasPrefix(*f.Name, p.Name)
	}
	return *f.Name == p.Name || p.Name == Wildcard
}
