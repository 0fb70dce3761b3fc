package broker

import (
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// inputKind is a way to fill in a request without knowing what it is for.
type inputKind struct {
	name string
	// text goes into every string.
	text string
	// elements are how many elements every array has.
	elements int
	// null leaves out what may be left out: arrays, strings, structs.
	null bool
	// number goes into every number, as much of it as fits; nil keeps the defaults.
	number *int64
}

// inputKinds are the kinds of input that every API gets in every version.
func inputKinds() []inputKind {
	return []inputKind{
		{name: "empty"},
		{name: "null", null: true},
		{name: "unknown", text: "no-such", elements: 1},
		{name: "invalid name", text: "no/such?", elements: 1},
		{name: "long name", text: strings.Repeat("x", 250), elements: 1},
		{name: "nameless", elements: 1},
		{name: "twice", text: "no-such", elements: 2},
		{name: "negative", text: "no-such", elements: 1, number: new(int64(-7))},
		{name: "too large", text: "no-such", elements: 1, number: new(int64(1 << 62))},
	}
}

// request returns a request of this kind, with what the API needs to be answered at all.
func (k inputKind) request(key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	initialize(reflect.ValueOf(req))
	k.fill(reflect.ValueOf(req).Elem())
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		if k.number == nil {
			r.Acks = 1 // none has no answer
		}
	case *kmsg.FetchRequest: // what a version does not have is no input
		if version < 15 {
			r.ReplicaState = kmsg.NewFetchRequestReplicaState()
		}
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if version < 18 {
					r.Topics[i].Partitions[j].HighWatermark = kmsg.NewFetchRequestTopicPartition().HighWatermark
				}
			}
		}
	case *kmsg.MetadataRequest:
		if version < 4 && k.text != "" && k.elements > 0 { // it makes topics, which then exist
			for i := range r.Topics {
				r.Topics[i].Topic = new(k.text + "-of-metadata")
			}
		}
	}
	req.SetVersion(version)
	return req
}

// fill sets every field of a struct, but for those that say how long an answer may take.
func (k inputKind) fill(v reflect.Value) {
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Name
		if name == "Version" || name == "UnknownTags" || !v.Type().Field(i).IsExported() {
			continue
		}
		switch {
		case name == "TimeoutMillis": // what is changed is there sooner, also on a busy machine
			field.SetInt(10_000)
			continue
		case waits(name):
			field.SetInt(10) // a request that waits for long says no more than one that waits shortly
			continue
		}
		k.set(field)
	}
}

// waits says that a field is how long an answer may take, or that it goes without.
func waits(name string) bool {
	return slices.Contains([]string{"MaxWaitMillis", "TimeoutMillis", "RebalanceTimeoutMillis", "SessionTimeoutMillis"}, name)
}

func (k inputKind) set(field reflect.Value) {
	switch field.Kind() {
	case reflect.Struct:
		k.fill(field)
	case reflect.Pointer:
		if k.null || k.elements == 0 {
			field.SetZero()
			return
		}
		field.Set(reflect.New(field.Type().Elem()))
		if field.Elem().Kind() == reflect.Struct {
			initialize(field)
		}
		k.set(field.Elem())
	case reflect.String:
		field.SetString(k.text)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if k.number != nil {
			largest := int64(1)<<(field.Type().Bits()-1) - 1
			field.SetInt(min(max(*k.number, -largest), largest))
		}
	case reflect.Uint16: // a port
		if k.number != nil {
			field.SetUint(1<<16 - 1)
		}
	case reflect.Float64:
		if k.number != nil {
			field.SetFloat(float64(*k.number))
		}
	case reflect.Slice:
		k.setSlice(field)
	case reflect.Bool, reflect.Array: // false, and an id that nobody has
	default:
		panic("no input for " + field.Type().String())
	}
}

func (k inputKind) setSlice(field reflect.Value) {
	if k.null {
		field.SetZero()
		return
	}
	if field.Type().Elem().Kind() == reflect.Uint8 { // records, metadata and the like
		field.Set(reflect.MakeSlice(field.Type(), 0, 0))
		return
	}
	all := reflect.MakeSlice(field.Type(), k.elements, k.elements)
	for i := range k.elements {
		initialize(all.Index(i).Addr())
		k.set(all.Index(i))
	}
	field.Set(all)
}

// initialize gives a struct its protocol's defaults.
func initialize(v reflect.Value) {
	if d, ok := reflect.TypeAssert[interface{ Default() }](v); ok {
		d.Default()
	}
}
