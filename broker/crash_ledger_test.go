package broker

import (
	"maps"
	"slices"
	"sync"
)

// ledger is what clients know: what they asked for, and what they were promised.
type ledger struct {
	mu sync.Mutex
	facts
}

// facts are a ledger at one moment.
type facts struct {
	// records by value; true for those that were acknowledged.
	records map[string]bool
	// keyed are the numbers of the compacted topic by key.
	keyed map[string]span
	// offsets are what groups committed, by group and partition.
	offsets map[string]span
	// transactions by their name.
	transactions map[string]outcome
	// objects are what is in the metadata, by name.
	objects map[string]object
}

// span is the largest number that was acknowledged, and that was sent.
type span struct{ acked, sent int64 }

type outcome struct {
	values []string
	// commit says what was asked for, if asked; told, that it was done.
	asked, commit, told bool
}

// object has a value that was acknowledged, or one of those that were asked for since.
type object struct {
	acked string
	maybe []string
}

func newLedger() *ledger {
	return &ledger{facts: facts{
		records: map[string]bool{}, keyed: map[string]span{}, offsets: map[string]span{},
		transactions: map[string]outcome{}, objects: map[string]object{},
	}}
}

// note changes the ledger.
func (l *ledger) note(change func(f *facts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.facts)
}

// now returns a copy.
func (l *ledger) now() facts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return facts{
		records: maps.Clone(l.records), keyed: maps.Clone(l.keyed), offsets: maps.Clone(l.offsets),
		transactions: maps.Clone(l.transactions), objects: maps.Clone(l.objects),
	}
}

func (l *ledger) sendNumber(of func(*facts) map[string]span, name string, n int64) {
	l.note(func(f *facts) {
		s := of(f)[name]
		s.sent = max(s.sent, n)
		of(f)[name] = s
	})
}

func (l *ledger) ackNumber(of func(*facts) map[string]span, name string, n int64) {
	l.note(func(f *facts) {
		s := of(f)[name]
		s.acked = max(s.acked, n)
		of(f)[name] = s
	})
}

func keyedOf(f *facts) map[string]span   { return f.keyed }
func offsetsOf(f *facts) map[string]span { return f.offsets }

// change asks for a new value of an object; it is acknowledged when do has no error.
// An object whose change failed may have either value until one is acknowledged.
func (l *ledger) change(name, value string, do func() error) error {
	l.note(func(f *facts) {
		o := f.objects[name]
		o.maybe = append(slices.Clone(o.maybe), value)
		f.objects[name] = o
	})
	err := do()
	if err == nil {
		l.note(func(f *facts) { f.objects[name] = object{acked: value} })
	}
	return err
}

// begin notes a transaction with its values, before anything of it is sent.
func (l *ledger) begin(name string, values []string) {
	l.note(func(f *facts) { f.transactions[name] = outcome{values: slices.Clone(values)} })
}

func (l *ledger) end(name string, commit, told bool) {
	l.note(func(f *facts) {
		o := f.transactions[name]
		o.asked, o.commit, o.told = true, commit, told
		f.transactions[name] = o
	})
}
