package batch

import (
	"bytes"
	"fmt"
	"regexp"
	"unicode/utf8"
)

// Flags say what was done to an event.
type Flags uint8

// The flags of an event.
const (
	FlagCut Flags = 1 << iota
	FlagMultiline
	FlagMoved
)

// Event is one line, or several lines joined. Value is only valid until the
// next event is made.
type Event struct {
	// Start and End are the byte offsets of the event's first byte and of the
	// byte after its line end.
	Start, End int64
	// Value without the last line end.
	Value []byte
	Flags Flags
}

// End says how a framer treats what has no end yet at the end of its block.
type End uint8

const (
	// EndOpen leaves it for later, when more bytes have come.
	EndOpen End = iota
	// EndFlush ends a multiline event after its last whole line.
	EndFlush
	// EndFinal ends everything: no byte will follow.
	EndFinal
)

// spanSlack is by how much the bytes of an event may exceed line_max before
// the event is cut or ended.
const spanSlack = 64 << 10

// Framer cuts bytes into events by the settings of an input.
type Framer struct {
	lineMax  int
	spanMax  int
	linesMax int
	pattern  *regexp.Regexp
	negate   bool
	before   bool
	text     *transcoder // nil: bytes pass as they are
	newline  newline
	scratch  []byte
	decoded  []byte
}

// NewFramer returns the framer of s.
func NewFramer(s *Settings) (*Framer, error) {
	if s.LineMax <= 0 {
		return nil, fmt.Errorf("line_max is %d: it must be at least 1", s.LineMax)
	}
	f := &Framer{lineMax: s.LineMax, spanMax: s.LineMax + spanSlack, newline: newlineByte}
	text, nl, err := newTranscoder(s.Encoding)
	if err != nil {
		return nil, err
	}
	f.text, f.newline = text, nl
	if s.Multiline.Pattern == "" {
		return f, nil
	}
	if f.pattern, err = regexp.Compile(s.Multiline.Pattern); err != nil {
		return nil, fmt.Errorf("multiline.pattern: %w", err)
	}
	switch s.Multiline.Match {
	case "after", "":
	case "before":
		f.before = true
	default:
		return nil, fmt.Errorf("multiline.match is %q: write after or before", s.Multiline.Match)
	}
	f.negate, f.linesMax = s.Multiline.Negate, max(s.Multiline.LinesMax, 1)
	return f, nil
}

// Multiline reports whether lines are joined.
func (f *Framer) Multiline() bool { return f.pattern != nil }

// SpanMax is the largest number of bytes that has to be seen of an event that
// begins a block.
func (f *Framer) SpanMax() int { return f.spanMax }

// Frame calls emit for each whole event in block, whose first byte is at file
// offset base and begins an event. It returns the number of bytes that the
// accepted events take; emit returning false refuses the event and stops. An event without an
// end is left (see [End]). With EndOpen, a block longer than SpanMax of which nothing
// is taken begins with a line that is too long for it: see [Framer.Long].
func (f *Framer) Frame(block []byte, base int64, end End, emit func(Event) bool) int {
	if f.pattern == nil && f.text == nil {
		return f.frameRaw(block, base, end, emit)
	}
	taken := 0
	for taken < len(block) {
		ev, ok := f.next(block[taken:], base+int64(taken), end)
		if !ok || !emit(ev) {
			break
		}
		taken = int(ev.End - base)
	}
	return taken
}

// frameRaw is the path of plain lines: no copy, no allocation.
func (f *Framer) frameRaw(block []byte, base int64, end End, emit func(Event) bool) int {
	taken := 0
	for taken < len(block) {
		rest := block[taken:]
		n := bytes.IndexByte(rest, '\n')
		ev := Event{Start: base + int64(taken)}
		switch {
		case n > 0 && rest[n-1] == '\r':
			ev.Value = rest[:n-1]
		case n >= 0:
			ev.Value = rest[:n]
		case end == EndFinal:
			ev.Value, n = rest, len(rest)-1
		default:
			return taken
		}
		if len(ev.Value) > f.lineMax {
			ev.Value, ev.Flags = cutValue(ev.Value, f.lineMax), FlagCut
		}
		ev.End = ev.Start + int64(n) + 1
		if !emit(ev) {
			return taken
		}
		taken += n + 1
	}
	return taken
}

// Long makes the event of a line that is longer than SpanMax: prefix are its
// first bytes, at least SpanMax of them, end the offset after its line end.
func (f *Framer) Long(prefix []byte, start, end int64) Event {
	value := prefix[:f.spanMax&^1]
	if f.text != nil {
		f.decoded = f.text.decode(f.decoded[:0], value, start == 0)
		value = f.decoded
	}
	return Event{Start: start, End: end, Value: cutValue(value, f.lineMax), Flags: FlagCut}
}

// next makes the event that begins rest, on the path for joined and for
// encoded lines.
func (f *Framer) next(rest []byte, start int64, end End) (Event, bool) {
	f.scratch = f.scratch[:0]
	var flags Flags
	lines, at := 0, 0
	for at < len(rest) {
		n, whole := f.lineAt(rest, at, end)
		if !whole && lines > 0 && at+n > f.spanMax {
			break // a line that is not joined, however it ends
		}
		if !whole && end != EndFinal {
			if end == EndFlush && lines > 0 {
				break
			}
			return Event{}, false
		}
		if lines > 0 && at+n > f.spanMax {
			break
		}
		line, cut := f.content(rest[at:at+n], whole, start == 0 && at == 0)
		if lines > 0 && (len(f.scratch)+1+len(line) > f.lineMax || f.endsBefore(line)) {
			break
		}
		if lines > 0 {
			f.scratch = append(f.scratch, '\n')
			flags |= FlagMultiline
		}
		f.scratch = append(f.scratch, line...)
		if cut {
			flags |= FlagCut
		}
		lines, at = lines+1, at+n
		if f.pattern == nil || lines >= f.linesMax || f.endsAfter(line) {
			return Event{Start: start, End: start + int64(at), Value: f.scratch, Flags: flags}, true
		}
		if at == len(rest) && end == EndOpen && at <= f.spanMax {
			return Event{}, false // the next line decides
		}
	}
	return Event{Start: start, End: start + int64(at), Value: f.scratch, Flags: flags}, lines > 0
}

// lineAt returns the length of the line at rest[at:] with its line end, and
// whether it has one.
func (f *Framer) lineAt(rest []byte, at int, _ End) (int, bool) {
	n := f.newline.index(rest[at:])
	if n < 0 {
		return len(rest) - at, false
	}
	return n + f.newline.width, true
}

// content is the line without its end, as text, cut at line_max.
func (f *Framer) content(line []byte, whole, first bool) (content []byte, cut bool) {
	content = line
	if whole {
		content = f.newline.trim(line)
	}
	if f.text != nil {
		if len(content) > f.spanMax {
			content = content[:f.spanMax&^1]
		}
		f.decoded = f.text.decode(f.decoded[:0], content, first)
		content = f.decoded
	}
	if len(content) > f.lineMax {
		return cutValue(content, f.lineMax), true
	}
	return content, false
}

// endsBefore reports whether line begins another event (match: after).
func (f *Framer) endsBefore(line []byte) bool {
	return !f.before && f.pattern.Match(line) == f.negate
}

// endsAfter reports whether line is the last of its event (match: before).
func (f *Framer) endsAfter(line []byte) bool {
	return f.before && f.pattern.Match(line) == f.negate
}

// cutValue cuts at limit, or up to three bytes before it so that no UTF-8
// sequence is torn.
func cutValue(value []byte, limit int) []byte {
	if len(value) <= limit {
		return value
	}
	for back := 0; back < utf8.UTFMax && back < limit; back++ {
		if utf8.RuneStart(value[limit-back]) {
			if back > 0 && !utf8.FullRune(value[limit-back:limit]) || back == 0 {
				return value[:limit-back]
			}
			break
		}
	}
	return value[:limit]
}
