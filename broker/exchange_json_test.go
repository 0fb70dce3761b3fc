package broker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maskedJSON is a response without what differs between two brokers, ids of topics too.
func maskedJSON(t testing.TB, resp kmsg.Response, mask []string) string {
	t.Helper()
	return jsonWithout(t, resp, slices.Concat(mask, []string{"TopicID"}))
}

// jsonWithout is a response without the named fields and the addresses and sizes of the host.
func jsonWithout(t testing.TB, resp kmsg.Response, mask []string) string {
	t.Helper()
	raw, err := json.Marshal(resp)
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := json.Unmarshal(raw, &decoded); err != nil {
		t.Fatal(err)
	}
	maskFields(decoded, slices.Concat(mask, []string{"ClusterID", "Host", "Port", "UnknownTags", "Dir", "TotalBytes", "UsableBytes"}))
	raw, err = json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "null", "[]") // kmsg reads an empty array as nil
}

func maskFields(v any, names []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range names {
			if _, ok := v[name]; ok {
				v[name] = "masked"
			}
		}
		for _, inner := range v {
			maskFields(inner, names)
		}
	case []any:
		slices.SortStableFunc(v, func(a, b any) int {
			return cmp.Or(cmp.Compare(field[float64](a, "Partition"), field[float64](b, "Partition")), byName(a, b), configOrder(a, b))
		})
		for _, inner := range v {
			maskFields(inner, names)
		}
	}
}

// byName orders what is answered in any order by what it is about.
func byName(a, b any) int {
	for _, name := range []string{"Topic", "Group", "User", "ResourceType", "ResourceName"} {
		if c := strings.Compare(field[string](a, name), field[string](b, name)); c != 0 {
			return c
		}
	}
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	return strings.Compare(fmt.Sprint(x["TopicID"]), fmt.Sprint(y["TopicID"]))
}

// errorCodesOf returns the error codes of a response, those that are zero too.
func errorCodesOf(resp kmsg.Response) []int16 {
	var codes []int16
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.Name == "ErrorCode" {
					codes = append(codes, int16(v.Field(i).Int()))
				} else if f.IsExported() {
					walk(v.Field(i))
				}
			}
		}
	}
	walk(reflect.ValueOf(resp))
	return codes
}
