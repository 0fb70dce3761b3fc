package event

import "github.com/millrace/millrace/internal/record"

func headersOf(pairs ...string) []record.Header {
	var out []record.Header
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, record.Header{Key: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return out
}
