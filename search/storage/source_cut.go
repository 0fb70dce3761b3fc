package storage

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/search/column"
)

// The source of a document mostly repeats what its columns hold; of a log line, the
// message. In a segment, values of text columns are cut out of the source where they occur
// byte for byte, and put back when it is read. A cut is two bytes: which form the value has in
// JSON, and which of the segment's cut columns it is of. The forms are bytes that
// never occur in JSON text.
const (
	cutPlain       byte = 0 // as it is
	cutEscaped     byte = 1 // with JSON's escapes
	cutEscapedHTML byte = 2 // and with <, > and & escaped, as some writers do
)

const (
	// cutMin is the shortest value that is worth cutting out.
	cutMin = 16
	// cutColumnsMax is how many columns' values are cut out.
	cutColumnsMax = 8
	// cutMetadata is the key of the file's metadata that lists the cut columns.
	cutMetadata = "millrace.cut"
)

// cutNames returns the columns whose values are cut out: text that differs from
// document to document.
func cutNames(specs []columnSpec) []string {
	var names []string
	for _, s := range specs {
		system := s.name == columnID || s.name == columnSource
		if s.kind == column.Bytes && !s.dict && s.rep != repeated && !system && !strings.Contains(s.name, "\x00") && len(names) < cutColumnsMax {
			names = append(names, s.name)
		}
	}
	return names
}

// cutter makes the shortened sources of a row group.
type cutter struct {
	columns []*column.Column
	escaped []byte
	html    []byte
}

// cut appends a source to dst without the values of the row.
func (c *cutter) cut(dst, source []byte, row int) []byte {
	start := len(dst)
	dst = append(dst, source...)
	for i, col := range c.columns {
		if col == nil {
			continue
		}
		lo, hi := col.Range(row)
		if hi-lo != 1 {
			continue
		}
		value := col.Bytes(lo)
		if len(value) < cutMin || bytes.IndexByte(value, 0) >= 0 {
			continue
		}
		form := cutPlain
		at := bytes.Index(dst[start:], value)
		if at < 0 {
			c.escaped = appendEscaped(c.escaped[:0], value, false)
			form, value = cutEscaped, c.escaped
			at = bytes.Index(dst[start:], value)
		}
		if at < 0 {
			c.html = appendEscaped(c.html[:0], col.Bytes(lo), true)
			form, value = cutEscapedHTML, c.html
			at = bytes.Index(dst[start:], value)
		}
		if at < 0 || insideCut(dst[start:], at, len(value)) {
			continue
		}
		at += start
		dst[at], dst[at+1] = form, byte(i)
		dst = append(dst[:at+2], dst[at+len(value):]...)
	}
	return dst
}

// insideCut reports whether the bytes found are partly a former cut: a form may be followed by
// the number of a column that is a character of the value.
func insideCut(source []byte, at, length int) bool {
	return at > 0 && source[at-1] <= cutEscapedHTML || bytes.ContainsAny(source[at:at+length], "\x00\x01\x02")
}

// restore appends a shortened source to dst with its values put back. value returns the
// value of a cut column.
func restore(dst, source []byte, value func(column int) ([]byte, error)) ([]byte, error) {
	for len(source) > 0 {
		at := 0
		for at < len(source) && source[at] > cutEscapedHTML {
			at++
		}
		dst = append(dst, source[:at]...)
		if at == len(source) {
			break
		}
		if at+1 == len(source) {
			return nil, fmt.Errorf("a source ends in a cut")
		}
		v, err := value(int(source[at+1]))
		if err != nil {
			return nil, err
		}
		if form := source[at]; form == cutPlain {
			dst = append(dst, v...)
		} else {
			dst = appendEscaped(dst, v, form == cutEscapedHTML)
		}
		source = source[at+2:]
	}
	return dst, nil
}

// cutsOf calls use with the column of each cut of a shortened source.
func cutsOf(source []byte, use func(column int)) {
	for i := 0; i+1 < len(source); i++ {
		if source[i] <= cutEscapedHTML {
			use(int(source[i+1]))
			i++
		}
	}
}

const hexDigits = "0123456789abcdef"

// appendEscaped writes text as encoding/json does between its quotes.
func appendEscaped(dst, text []byte, html bool) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c < ' ', html && (c == '<' || c == '>' || c == '&'):
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(text[i:])
			if r == '\u2028' || r == '\u2029' {
				dst = append(dst, '\\', 'u', '2', '0', '2', hexDigits[r&0xF])
			} else {
				dst = append(dst, text[i:i+size]...)
			}
			i += size
			continue
		default:
			dst = append(dst, c)
		}
		i++
	}
	return dst
}

// cutColumn returns the sources of a row group with the values cut out.
func cutColumn(sources *column.Column, rows int, columns []*column.Column) *column.Column {
	c := cutter{columns: columns}
	out := &column.Column{Kind: column.Bytes, Starts: make([]uint32, 1, rows+1), Data: make([]byte, 0, len(sources.Data)/2)}
	for row := range rows {
		out.Data = c.cut(out.Data, sources.Bytes(row), row)
		out.Starts = append(out.Starts, uint32(len(out.Data)))
	}
	return out
}
