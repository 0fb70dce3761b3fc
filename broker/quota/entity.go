package quota

import (
	"cmp"
	"strings"
)

// Kinds of entities, as Kafka names them.
const (
	User     = "user"
	ClientID = "client-id"
	IP       = "ip"
)

// Name is one part of an entity. The zero value says that the part is not there.
type Name struct {
	// Set says that the entity has this part.
	Set bool
	// Default stands for all names that have no limit of their own.
	Default bool
	// Value is the name, empty for the default.
	Value string
}

// Named is the part with a name.
func Named(value string) Name { return Name{Set: true, Value: value} }

// DefaultName is the part that stands for all names.
func DefaultName() Name { return Name{Set: true, Default: true} }

// Entity is whom a limit is set for. Entities are comparable.
type Entity struct {
	User, ClientID, IP Name
}

// Parts returns the parts that are set, by kind, in the order of the kinds' names.
func (e Entity) Parts() []Part {
	var parts []Part
	for _, p := range []Part{{ClientID, e.ClientID}, {IP, e.IP}, {User, e.User}} {
		if p.Name.Set {
			parts = append(parts, p)
		}
	}
	return parts
}

// Part is a part of an entity with its kind.
type Part struct {
	Kind string
	Name Name
}

// Compare orders entities.
func Compare(a, b Entity) int {
	return cmp.Or(compareNames(a.User, b.User), compareNames(a.ClientID, b.ClientID), compareNames(a.IP, b.IP))
}

func compareNames(a, b Name) int {
	rank := func(n Name) int {
		switch {
		case !n.Set:
			return 0
		case n.Default:
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Value, b.Value))
}
