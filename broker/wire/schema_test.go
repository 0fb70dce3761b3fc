package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// requestKeys are the APIs whose schema is known: those of the node, and some
// that it will have.
func requestKeys() []int16 {
	return []int16{
		0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 25, 26, 28, 32, 33, 34, 35, 36, 37,
		42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 55, 57, 60, 61, 64, 65, 66, 68, 69, 74, 75, 80, 81,
	}
}

func testAPI(t testing.TB, key int16) *api {
	t.Helper()
	m, err := NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAPI(API{Key: key, Max: kmsg.RequestForKey(key).MaxVersion()}, m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fill gives every field of v a random value.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64() >> (64 - v.Type().Bits())))
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(r.Float64())
	case reflect.String:
		v.SetString(string(make([]byte, r.IntN(200))))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(r.IntN(256)))
		}
	case reflect.Slice:
		if r.IntN(8) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			if v.Type().Elem().Kind() == reflect.Uint8 {
				v.Index(i).SetUint(uint64(r.IntN(256)))
			} else {
				fill(r, v.Index(i))
			}
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; name {
			case "Version":
			case "UnknownTags":
				if r.IntN(4) == 0 {
					v.Field(i).Addr().Interface().(*kmsg.Tags).Set(100+r.Uint32N(1000), make([]byte, r.IntN(20)))
				}
			default:
				fill(r, v.Field(i))
			}
		}
	}
}

func TestSchemasAgreeWithKmsgForEveryKeyAndVersion(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, key := range requestKeys() {
		a := testAPI(t, key)
		for version := int16(0); version <= a.Max; version++ {
			for range 50 {
				req := kmsg.RequestForKey(key)
				fill(r, reflect.ValueOf(req).Elem())
				req.SetVersion(version)
				body := req.AppendTo(nil)
				if got := req.IsFlexible(); got != a.flexible(version) {
					t.Fatalf("%s v%d: flexible %t", a.name, version, a.flexible(version))
				}
				if err := kmsgRead(key, version, body); err != nil {
					continue // a null where none may be
				}
				if _, err := a.schema.check(body, version, a.flexible(version), 1<<40); err != nil {
					t.Fatalf("%s v%d: %v\n%x", a.name, version, err, body)
				}
				if _, err := a.schema.check(append(body, 0), version, a.flexible(version), 1<<40); err != nil {
					t.Fatalf("%s v%d: a byte after the end: %v", a.name, version, err)
				}
				if len(body) == 0 {
					continue
				}
				cut := body[:r.IntN(len(body))]
				if _, err := a.schema.check(cut, version, a.flexible(version), 1<<40); err == nil {
					t.Fatalf("%s v%d: %d of %d bytes are taken", a.name, version, len(cut), len(body))
				}
			}
		}
	}
}

func kmsgRead(key, version int16, body []byte) error {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	return req.ReadFrom(body)
}

func TestHostileLengthsAreRefusedBeforeAnythingIsAllocated(t *testing.T) {
	tests := []struct {
		name    string
		key     int16
		version int16
		body    []byte
	}{
		{"array of two billion", 3, 0, binary.BigEndian.AppendUint32(nil, 1<<31-1)},
		{"negative array", 3, 0, binary.BigEndian.AppendUint32(nil, 1<<31+5)},
		{"compact array of four billion", 3, 12, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}},
		{"varint without end", 3, 12, bytes.Repeat([]byte{0xff}, 20)},
		{"four billion tags", 3, 12, []byte{1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		{"array of bytes as elements", 42, 0, append(binary.BigEndian.AppendUint32(nil, 1<<20), make([]byte, 1<<20)...)},
		{"string beyond the end", 10, 0, []byte{0x7f, 0xff, 'a'}},
		{"null for a string", 10, 0, []byte{0xff, 0xff}},
		{"null for an array", 3, 0, []byte{0xff, 0xff, 0xff, 0xff}},
		{"null for an array of a later version", 9, 1, []byte{0, 1, 'g', 0xff, 0xff, 0xff, 0xff}},
		{"null for a compact array", 21, 2, []byte{0, 0, 0, 0, 0, 0}},
		{"null for bytes", 36, 0, []byte{0xff, 0xff, 0xff, 0xff}},
		{"null for compact bytes", 36, 2, []byte{0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := testAPI(t, tt.key)
			allocs := testing.AllocsPerRun(5, func() {
				_, err := a.schema.check(tt.body, tt.version, a.flexible(tt.version), int64(len(tt.body))*decodeFactor)
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("taken: %v", err)
				}
			})
			if allocs > 8 { // the error
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}

// TestEachNegativeLengthIsANull: where one may be, as Kafka takes them.
func TestEachNegativeLengthIsANull(t *testing.T) {
	for _, length := range [][]byte{{0xff, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xf7}, {0x80, 0, 0, 0}} {
		a := testAPI(t, 3)
		if _, err := a.schema.check(length, 1, false, 1<<20); err != nil {
			t.Errorf("topics of length %x: %v", length, err)
		}
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 1
		if err := req.ReadFrom(length); err != nil || req.Topics != nil {
			t.Errorf("topics of length %x: %v, %v", length, req.Topics, err)
		}
		a = testAPI(t, 22)
		body := append(append([]byte{}, length[:2]...), 0, 0, 0, 1)
		if _, err := a.schema.check(body, 0, false, 1<<20); err != nil {
			t.Errorf("transactional id of length %x: %v", length[:2], err)
		}
		id := kmsg.NewPtrInitProducerIDRequest()
		if err := id.ReadFrom(body); err != nil || id.TransactionalID != nil {
			t.Errorf("transactional id of length %x: %v, %v", length[:2], id.TransactionalID, err)
		}
	}
}

// TestDecodingTakesNoMoreThanTheCheckSays compares the cost that is reserved
// with what kmsg really allocates.
func TestDecodingTakesNoMoreThanTheCheckSays(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, key := range requestKeys() {
		if key == 0 || key == 1 { // by hand
			continue
		}
		a := testAPI(t, key)
		for range 20 {
			version := int16(r.IntN(int(a.Max) + 1))
			req := kmsg.RequestForKey(key)
			fill(r, reflect.ValueOf(req).Elem())
			req.SetVersion(version)
			body := req.AppendTo(nil)
			cost, err := a.schema.check(body, version, a.flexible(version), 1<<40)
			if err != nil {
				continue
			}
			// The request itself, size classes, and the maps of tagged fields.
			limit := 2*uint64(cost) + 4096
			if got := allocated(limit, func() { _ = kmsgRead(key, version, body) }); got > limit {
				t.Errorf("%s v%d: %d bytes allocated, cost %d", a.name, version, got, cost)
			}
		}
	}
}

// allocated returns the bytes that f allocates. What the whole process allocates meanwhile is counted with
// it, so that f is called again, a few times, where they are more than a limit.
func allocated(limit uint64, f func()) uint64 {
	least := uint64(math.MaxUint64)
	for tries := 0; tries < 5 && least > limit; tries++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// TestEveryNegativeMarkerIsNull: what follows such a marker must not be read as a struct, with
// a number of tagged fields that nobody has looked at (here 4 billion, of a request of 21 bytes).
func TestEveryNegativeMarkerIsNull(t *testing.T) {
	const key = 75 // DescribeTopicPartitions
	body := []byte("\x01\x00\x00\x00\x01\xb8\x01\x01\x00\x00\x00\x00\xb0\xb0\xb0\xb0\x0f")
	a := testAPI(t, key)
	if _, err := a.schema.check(body, 0, true, decodeFloorBytes); err == nil {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		if err := req.ReadFrom(body); err != nil || req.Cursor != nil {
			t.Errorf("a request without a cursor has %+v, %v", req.Cursor, err)
		}
	} else {
		t.Error(err)
	}
}

func FuzzRequestDecoding(f *testing.F) {
	apis := make(map[int16]*api)
	r := rand.New(rand.NewPCG(5, 6))
	for _, key := range requestKeys() {
		apis[key] = testAPI(f, key)
		for version := int16(0); version <= apis[key].Max; version++ {
			req := kmsg.RequestForKey(key)
			fill(r, reflect.ValueOf(req).Elem())
			req.SetVersion(version)
			f.Add(key, version, req.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		a := apis[key]
		if a == nil || version < 0 || version > a.Max {
			return
		}
		body = slices.Clone(body) // nulls are rewritten
		costMax := max(int64(len(body))*decodeFactor, decodeFloorBytes)
		cost, err := a.schema.check(body, version, a.flexible(version), costMax)
		if err != nil {
			return
		}
		if cost > costMax {
			t.Fatalf("cost %d of %d", cost, costMax)
		}
		if key == 0 || key == 1 {
			return
		}
		_ = kmsgRead(key, version, body) // neither panics nor hangs
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(kmsg.NewRequestFormatter(kmsg.FormatterClientID("client")).AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 7)[4:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, err := parseHeader(frame)
		if err != nil {
			return
		}
		if len(h.clientID)+len(h.rest) > len(frame) {
			t.Fatal("more than the frame")
		}
		if rest, err := skipHeaderTags(h.rest); err == nil && len(rest) > len(h.rest) {
			t.Fatal("more than the rest")
		}
	})
}
