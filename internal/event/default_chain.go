package event

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// DefaultChain returns what the built-in default pipeline does to a record:
//
//   - A line that is a JSON object is opened into fields. message stays the
//     raw line; a member whose name is taken, or cannot have the value that it
//     has in ECS, goes under "json.".
//   - @timestamp is the leading timestamp of the line, or the member of the
//     JSON object that is one; otherwise the record's timestamp.
//   - log.level is set where one is recognised.
//
// It never fails: a line in no known form is a document with its message.
func DefaultChain() *Chain {
	return &Chain{steps: []step{{processor: defaultProcessor{}}}}
}

type defaultProcessor struct{}

func (defaultProcessor) process(e *Event) bool {
	line := e.Get(FieldMessage).str
	if looksLikeJSON(line) {
		if v, ok := ParseJSON(line); ok && v.kind == KindObject {
			openDefault(e, v.more.fields)
			return false
		}
	}
	if t, ok := LeadingTime(line, e.near()); ok {
		e.Timestamp = t
	}
	if level := FindLevel(line); level != "" {
		e.setLevel(level)
	}
	return false
}

// near is the time that a missing year is inferred from.
func (e *Event) near() time.Time {
	if e.RecordTime.IsZero() {
		return e.Timestamp
	}
	return e.RecordTime
}

// timeOf reads the time out of a member: text in any form that a line may
// begin with, or a number since 1970.
func timeOf(v Value, near time.Time) (time.Time, bool) {
	switch v.kind {
	case KindString:
		text := strings.TrimSpace(v.str)
		if t, ok := parseISO(text, nil); ok {
			return t, true
		}
		return timeAt(text, near)
	case KindInt:
		return epochOf(strconv.FormatInt(int64(v.num), 10), 0)
	case KindFloat:
		f, _ := v.Number()
		return epochFloat(f)
	default:
		return time.Time{}, false
	}
}

// epochFloat reads seconds with a fraction, or milliseconds.
func epochFloat(f float64) (time.Time, bool) {
	switch {
	case f >= 1e9 && f < 1e10:
		whole, fraction := math.Modf(f)
		return time.Unix(int64(whole), int64(math.Round(fraction*1e6))*1e3).UTC(), true
	case f >= 1e12 && f < 1e13:
		return time.UnixMicro(int64(f * 1e3)).UTC(), true
	}
	return time.Time{}, false
}

func looksLikeJSON(line string) bool {
	line = strings.TrimSpace(line)
	return len(line) >= 2 && line[0] == '{' && line[len(line)-1] == '}'
}

// openDefault opens a JSON line.
func openDefault(e *Event, fields []Field) {
	level, rest := "", make([]Field, 0, len(fields))
	timed := false
	for _, f := range fields {
		if !timed && isTimeName(f.Name) {
			if t, ok := timeOf(f.Value, e.near()); ok {
				e.Timestamp, timed = t, true
				if f.Name == FieldTimestamp {
					continue
				}
			}
		}
		if isLevelName(f.Name) {
			if l := levelOf(f.Value); l != "" && level == "" {
				level = l
				if f.Name == FieldLogLevel {
					continue
				}
			}
		}
		rest = append(rest, f)
	}
	o := opener{event: e, aside: asideDefault}
	o.open(rest)
	if level == "" {
		level = levelOf(e.Get(FieldLogLevel))
	}
	if level != "" {
		e.setLevel(level)
	}
}

func (e *Event) setLevel(level string) { e.Set(FieldLogLevel, String(level)) }

// isTimeName reports whether members of that name hold the time of the event.
func isTimeName(name string) bool {
	switch name {
	case "@timestamp", "timestamp", "time", "ts", "datetime", "date", "eventTime", "event_time", "asctime",
		"Timestamp", "Time", "@t", "t":
		return true
	}
	return false
}

func isLevelName(name string) bool {
	switch name {
	case "log.level", "level", "severity", "lvl", "levelname", "loglevel", "log_level", "logLevel", "Level", "@l":
		return true
	}
	return false
}
