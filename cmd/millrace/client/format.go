package client

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/clusterview"
)

// recordWriter prints records, at most count of them (0 means any number).
type recordWriter struct {
	mu      sync.Mutex
	w       *bufio.Writer
	parts   []formatPart
	json    bool
	flushes bool // after every record
	count   int64
	printed int64
}

// formatPart appends one piece of a record.
type formatPart func(dst []byte, r clusterview.Record) []byte

// formatHelp is the table of --format's verbs.
const formatHelp = `%v value, %k key, %t topic, %p partition, %o offset, %T timestamp in ms, %d timestamp as date,
%h headers as k=v separated by commas, %% percent; \n \t \r \0 \\ as in C`

// parseFormat reads a --format.
func parseFormat(s string) ([]formatPart, error) {
	var parts []formatPart
	literal := func(text string) {
		parts = append(parts, func(dst []byte, _ clusterview.Record) []byte { return append(dst, text...) })
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' && c != '\\' {
			literal(s[i : i+1])
			continue
		}
		if i++; i == len(s) {
			return nil, usagef("--format %q ends with a single %q", s, c)
		}
		if c == '\\' {
			text, ok := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '0': "\x00", '\\': "\\"}[s[i]]
			if !ok {
				return nil, usagef("--format %q: \\%c is not known: there are \\n \\t \\r \\0 \\\\", s, s[i])
			}
			literal(text)
			continue
		}
		part, ok := formatVerb(s[i])
		if !ok {
			return nil, usagef("--format %q: %%%c is not known: there are %%v %%k %%t %%p %%o %%T %%d %%h %%%%", s, s[i])
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func formatVerb(verb byte) (formatPart, bool) {
	switch verb {
	case 'v':
		return func(dst []byte, r clusterview.Record) []byte { return append(dst, r.Value...) }, true
	case 'k':
		return func(dst []byte, r clusterview.Record) []byte { return append(dst, r.Key...) }, true
	case 't':
		return func(dst []byte, r clusterview.Record) []byte { return append(dst, r.Topic...) }, true
	case 'p':
		return func(dst []byte, r clusterview.Record) []byte { return strconv.AppendInt(dst, int64(r.Partition), 10) }, true
	case 'o':
		return func(dst []byte, r clusterview.Record) []byte { return strconv.AppendInt(dst, r.Offset, 10) }, true
	case 'T':
		return func(dst []byte, r clusterview.Record) []byte { return strconv.AppendInt(dst, r.Time.UnixMilli(), 10) }, true
	case 'd':
		return func(dst []byte, r clusterview.Record) []byte { return append(dst, formatTime(r.Time)...) }, true
	case 'h':
		return appendHeaders, true
	case '%':
		return func(dst []byte, _ clusterview.Record) []byte { return append(dst, '%') }, true
	default:
		return nil, false
	}
}

func appendHeaders(dst []byte, r clusterview.Record) []byte {
	for i, h := range r.Headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, h.Key...), '='), h.Value...)
	}
	return dst
}

func newRecordWriter(w io.Writer, format string, asJSON, flushes bool, count int64) (*recordWriter, error) {
	parts, err := parseFormat(format)
	if err != nil {
		return nil, err
	}
	return &recordWriter{w: bufio.NewWriterSize(w, 64<<10), parts: parts, json: asJSON, flushes: flushes, count: count}, nil
}

// write prints one record and returns [clusterview.ErrStop] with the last one
// that is wanted. It may be called concurrently. A record beyond the count is
// refused with printed false.
func (p *recordWriter) write(r clusterview.Record) (printed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count > 0 && p.printed >= p.count {
		return false, clusterview.ErrStop
	}
	if p.json {
		err = writeJSONLine(p.w, newRecordJSON(r))
	} else {
		line := p.w.AvailableBuffer()
		for _, part := range p.parts {
			line = part(line, r)
		}
		_, err = p.w.Write(line)
	}
	if err == nil && p.flushes {
		err = p.w.Flush()
	}
	if err != nil {
		return false, fmt.Errorf("write record: %w", err)
	}
	if p.printed++; p.count > 0 && p.printed >= p.count {
		return true, clusterview.ErrStop
	}
	return true, nil
}

// enough reports whether as many records as wanted have been printed.
func (p *recordWriter) enough() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count > 0 && p.printed >= p.count
}

func (p *recordWriter) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w.Flush()
}

// recordJSON is a record with -o json. Bytes that are not UTF-8 are given in
// base64, under a name of their own.
type recordJSON struct {
	Topic       string       `json:"topic"`
	Partition   int32        `json:"partition"`
	Offset      int64        `json:"offset"`
	Timestamp   string       `json:"timestamp"`
	Key         *string      `json:"key"`
	KeyBase64   string       `json:"key_base64,omitempty"`
	Value       *string      `json:"value"`
	ValueBase64 string       `json:"value_base64,omitempty"`
	Headers     []headerJSON `json:"headers"`
}

type headerJSON struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func newRecordJSON(r clusterview.Record) recordJSON {
	j := recordJSON{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: formatTime(r.Time), Headers: []headerJSON{}}
	j.Key, j.KeyBase64 = textOrBase64(r.Key)
	j.Value, j.ValueBase64 = textOrBase64(r.Value)
	for _, h := range r.Headers {
		j.Headers = append(j.Headers, headerJSON{strings.ToValidUTF8(string(h.Key), "\uFFFD"), strings.ToValidUTF8(string(h.Value), "\uFFFD")})
	}
	return j
}

func textOrBase64(b []byte) (*string, string) {
	if b == nil {
		return nil, ""
	}
	if !utf8.Valid(b) {
		return nil, base64.StdEncoding.EncodeToString(b)
	}
	s := string(b)
	return &s, ""
}
