package agg

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/query"
)

// cardinality counts different values: exactly up to a threshold, by HyperLogLog with 2^14
// registers (an error of about 0.8 %) past it.
type cardinality struct {
	run       *Run
	field     string
	threshold int
	states    []*distinct
}

// distinct is the values of one bucket.
type distinct struct {
	exact     map[uint64]struct{}
	registers []uint8
}

const (
	registerBits         = 14
	thresholdDefault     = 3000
	thresholdMax         = 40000
	distinctEntryBytes   = 24
	distinctInitialBytes = 64
)

func parseCardinality(s *spec, body map[string]any) (func(*Run, *level) aggregator, error) {
	p := params{s, body}
	if err := p.keys([]string{"field", "precision_threshold", "execution_hint", "rehash"}, []string{"script", "missing", "format", "value_type"}); err != nil {
		return nil, err
	}
	field, err := p.field()
	if err != nil {
		return nil, err
	}
	threshold := thresholdDefault
	if v, has := body["precision_threshold"]; has {
		n, ok := intOf(v)
		if !ok || n < 0 {
			return nil, p.failed("precision_threshold", "[precisionThreshold] must be greater than or equal to 0. Found [%v] in [%s]", v, s.name)
		}
		threshold = min(n, thresholdMax)
	}
	return func(r *Run, _ *level) aggregator {
		return &cardinality{run: r, field: field, threshold: threshold}
	}, nil
}

func (a *cardinality) bind(ix Index) (binding, error) {
	f, err := lookup(ix, a.field, "cardinality", func(*mapping.Field) bool { return true })
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nothing{}, nil
	}
	return &boundCardinality{a, f}, nil
}

type boundCardinality struct {
	*cardinality
	f *mapping.Field
}

func (a *boundCardinality) block(b query.Rows) (collector, error) {
	c, err := b.Column(a.f)
	if err != nil || c == nil {
		return nil, err
	}
	// The entries of a dictionary are hashed once.
	var dictionary []uint64
	for i := range c.DictLen() {
		dictionary = append(dictionary, hashBytes(c.DictEntry(i)))
	}
	return func(owner, row int) {
		lo, hi := c.Range(row)
		for i := lo; i < hi; i++ {
			var hash uint64
			switch {
			case c.Kind == column.Int:
				hash = mix(uint64(c.Ints[i]))
			case c.Kind == column.Float:
				hash = mix(math.Float64bits(c.Floats[i]))
			case !keeps(a.f, c.Bytes(i)):
				continue
			case dictionary != nil:
				hash = dictionary[c.Codes[i]]
			default:
				hash = hashBytes(c.Bytes(i))
			}
			a.add(owner, hash)
		}
	}, nil
}

func (a *cardinality) add(owner int, hash uint64) {
	a.states = resize(a.run, a.states, owner, 8)
	d := a.states[owner]
	if d == nil {
		d = &distinct{exact: map[uint64]struct{}{}}
		a.states[owner] = d
		a.run.grow(distinctInitialBytes)
	}
	if d.registers != nil {
		d.register(hash)
		return
	}
	before := len(d.exact)
	d.exact[hash] = struct{}{}
	if len(d.exact) > before {
		a.run.grow(distinctEntryBytes)
	}
	if len(d.exact) > a.threshold {
		a.run.grow(1 << registerBits)
		d.registers = make([]uint8, 1<<registerBits)
		for h := range d.exact {
			d.register(h)
		}
		d.exact = nil
	}
}

func (d *distinct) register(hash uint64) {
	slot := hash >> (64 - registerBits)
	rank := uint8(bits.LeadingZeros64(hash<<registerBits|1<<(registerBits-1))) + 1
	d.registers[slot] = max(d.registers[slot], rank)
}

func (d *distinct) count() int64 {
	if d == nil {
		return 0
	}
	if d.registers == nil {
		return int64(len(d.exact))
	}
	const m = 1 << registerBits
	sum, zeros := 0.0, 0
	for _, rank := range d.registers {
		sum += math.Exp2(-float64(rank))
		if rank == 0 {
			zeros++
		}
	}
	estimate := 0.7213 / (1 + 1.079/m) * m * m / sum
	if estimate <= 5*m/2 && zeros > 0 {
		estimate = m * math.Log(m/float64(zeros))
	}
	return int64(math.Round(estimate))
}

func (a *cardinality) result(owner int) (map[string]any, error) {
	n, _ := a.number(owner, "")
	return map[string]any{"value": int64(n)}, nil
}

// number returns the count of a bucket to sort by.
func (a *cardinality) number(owner int, _ string) (float64, bool) {
	if owner < 0 || owner >= len(a.states) {
		return 0, true
	}
	return float64(a.states[owner].count()), true
}

// mix is the finaliser of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func hashBytes(v []byte) uint64 {
	h := mix(uint64(len(v)) + 0x9e3779b97f4a7c15)
	for len(v) >= 8 {
		h = mix(h ^ binary.LittleEndian.Uint64(v))
		v = v[8:]
	}
	var tail uint64
	for i, c := range v {
		tail |= uint64(c) << (8 * i)
	}
	return mix(h ^ tail)
}
