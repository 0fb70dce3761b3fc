package batch

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// newline says how a line ends in an encoding. Multi-byte encodings other than
// UTF-16 never use 0x0A within a character.
type newline struct {
	width  int
	lf, cr []byte
}

var newlineByte = newline{width: 1, lf: []byte{'\n'}, cr: []byte{'\r'}}

// index returns where the first line feed of b begins, -1 if there is none.
// b begins at a character.
func (n newline) index(b []byte) int {
	if n.width == 1 {
		return bytes.IndexByte(b, '\n')
	}
	for at := 0; at < len(b); {
		i := bytes.Index(b[at:], n.lf)
		if i < 0 {
			return -1
		}
		if at += i; at%n.width == 0 {
			return at
		}
		at++
	}
	return -1
}

// trim drops the line end of a whole line.
func (n newline) trim(line []byte) []byte {
	return bytes.TrimSuffix(line[:len(line)-n.width], n.cr)
}

// transcoder turns text of another encoding into UTF-8.
type transcoder struct {
	decoder *encoding.Decoder
	bom     []byte
}

func newTranscoder(name string) (*transcoder, newline, error) {
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8":
		return nil, newlineByte, nil
	case "utf-16le", "utf-16":
		d := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()
		return &transcoder{d, []byte{0xff, 0xfe}}, newline{2, []byte{'\n', 0}, []byte{'\r', 0}}, nil
	case "utf-16be":
		d := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder()
		return &transcoder{d, []byte{0xfe, 0xff}}, newline{2, []byte{0, '\n'}, []byte{0, '\r'}}, nil
	}
	enc, err := htmlindex.Get(name)
	if err != nil || enc == encoding.Replacement {
		return nil, newline{}, fmt.Errorf("encoding %q is not known: write utf-8, utf-16le, utf-16be, latin1 or another WHATWG name", name)
	}
	return &transcoder{decoder: enc.NewDecoder()}, newlineByte, nil
}

// decode appends src as UTF-8 to dst. What is not valid becomes U+FFFD. first
// says that src begins the file, where a byte order mark is dropped.
func (t *transcoder) decode(dst, src []byte, first bool) []byte {
	if first && len(t.bom) > 0 {
		src = bytes.TrimPrefix(src, t.bom)
	}
	t.decoder.Reset()
	dst = dst[:0]
	for {
		if cap(dst)-len(dst) < 64+len(src) {
			grown := make([]byte, len(dst), 2*cap(dst)+2*len(src)+64)
			copy(grown, dst)
			dst = grown
		}
		nDst, nSrc, err := t.decoder.Transform(dst[len(dst):cap(dst)], src, true)
		dst, src = dst[:len(dst)+nDst], src[nSrc:]
		switch {
		case err == nil:
			return dst
		case errors.Is(err, transform.ErrShortDst):
		default:
			dst = append(dst, "\uFFFD"...)
			src = src[min(1, len(src)):]
			if len(src) == 0 {
				return dst
			}
		}
	}
}
