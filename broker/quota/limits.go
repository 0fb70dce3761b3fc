package quota

import (
	"maps"
	"slices"
)

// Key is what is limited, as Kafka names it.
type Key string

// What can be limited. Bytes are per second; request time is in percent of one
// processor; mutations are partitions made or removed per second; connections
// are those accepted per second.
const (
	ProducerByteRate       Key = "producer_byte_rate"
	ConsumerByteRate       Key = "consumer_byte_rate"
	RequestPercentage      Key = "request_percentage"
	ControllerMutationRate Key = "controller_mutation_rate"
	ConnectionCreationRate Key = "connection_creation_rate"
)

// Limits are all limits that are set. They are immutable; the zero value has none.
type Limits struct {
	byKey    map[Key]map[Entity]float64
	entities map[Entity]map[Key]float64
}

// With returns the limits with one set or, for nil, removed.
func (l *Limits) With(e Entity, k Key, value *float64) *Limits {
	next := &Limits{byKey: cloned(l.byKey), entities: cloned(l.entities)}
	change(next.byKey, k, e, value)
	change(next.entities, e, k, value)
	return next
}

// change sets m[outer][inner], or removes it, in a map whose inner maps are shared.
func change[A, B comparable](m map[A]map[B]float64, outer A, inner B, value *float64) {
	c := cloned(m[outer])
	if value != nil {
		c[inner] = *value
	} else {
		delete(c, inner)
	}
	if len(c) == 0 {
		delete(m, outer)
		return
	}
	m[outer] = c
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	return maps.Clone(m)
}

// Entities returns whom limits are set for, in order.
func (l *Limits) Entities() []Entity { return slices.SortedFunc(maps.Keys(l.entities), Compare) }

// Get returns the limits of an entity itself. The map must not be changed.
func (l *Limits) Get(e Entity) map[Key]float64 { return l.entities[e] }

// Has reports whether anyone has a limit of a kind. It is the only cost where
// nobody has.
func (l *Limits) Has(k Key) bool { return len(l.byKey[k]) > 0 }

// Account is whom use is counted for: the names by which a limit was found.
type Account struct {
	User, ClientID string
}

// Of returns the limit of a client and the account that it is counted for. The most
// specific one counts: of the user with the client id, of the user, of the default
// user with the client id, of the default user, of the client id, of the default.
func (l *Limits) Of(k Key, user, clientID string) (limit float64, account Account, ok bool) {
	set := l.byKey[k]
	if len(set) == 0 {
		return 0, Account{}, false
	}
	u, c, anyone, any := Named(user), Named(clientID), DefaultName(), DefaultName()
	for _, try := range [...]struct {
		entity  Entity
		account Account
	}{
		{Entity{User: u, ClientID: c}, Account{user, clientID}},
		{Entity{User: u, ClientID: any}, Account{user, clientID}},
		{Entity{User: u}, Account{user, ""}},
		{Entity{User: anyone, ClientID: c}, Account{user, clientID}},
		{Entity{User: anyone, ClientID: any}, Account{user, clientID}},
		{Entity{User: anyone}, Account{user, ""}},
		{Entity{ClientID: c}, Account{"", clientID}},
		{Entity{ClientID: any}, Account{"", clientID}},
	} {
		if v, found := set[try.entity]; found {
			return v, try.account, true
		}
	}
	return 0, Account{}, false
}

// OfIP returns the limit of an address.
func (l *Limits) OfIP(k Key, ip string) (limit float64, ok bool) {
	set := l.byKey[k]
	if v, found := set[Entity{IP: Named(ip)}]; found {
		return v, true
	}
	v, found := set[Entity{IP: DefaultName()}]
	return v, found
}
