package agg

import (
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"github.com/millrace/millrace/search/mapping"
)

func runes(v []byte) int { return utf8.RuneCount(v) }

func numberOf(value any) (float64, bool) {
	switch v := value.(type) {
	case json.Number:
		x, err := v.Float64()
		return x, err == nil
	case string:
		x, err := strconv.ParseFloat(v, 64)
		return x, err == nil
	case float64:
		return v, true
	}
	return 0, false
}

func intOf(value any) (int, bool) {
	x, ok := numberOf(value)
	return int(x), ok && x == math.Trunc(x) && math.Abs(x) < 1<<31
}

// addressText writes an address from its 16 bytes.
func addressText(raw []byte) string {
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return ""
	}
	return addr.Unmap().String()
}

// ValueText writes a byte value of a field as Elasticsearch shows it.
func ValueText(f *mapping.Field, raw []byte) string {
	if f.Type == mapping.IP {
		return addressText(raw)
	}
	return string(raw)
}
