package clusterview

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/internal/timespec"
)

// PositionKind says how a [Position] is meant.
type PositionKind int

// Kinds of positions.
const (
	PositionStart PositionKind = iota
	PositionEnd
	PositionOffset
	PositionTime
)

// Position is a place in every partition of a topic.
type Position struct {
	Kind PositionKind
	// Offset is the offset of kind [PositionOffset].
	Offset int64
	// Time is the time of kind [PositionTime]: the first record that is not older.
	Time time.Time
}

// ParsePosition reads "start", "end", an offset ("1234") or a time as
// [timespec.Parse] reads it.
func ParsePosition(s string, now time.Time) (Position, error) {
	switch s {
	case "start", "beginning", "earliest":
		return Position{Kind: PositionStart}, nil
	case "end", "latest":
		return Position{Kind: PositionEnd}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if n < 0 {
			return Position{}, fmt.Errorf("%q is not an offset: offsets begin at 0", s)
		}
		return Position{Kind: PositionOffset, Offset: n}, nil
	}
	t, err := timespec.Parse(s, now)
	if err != nil {
		return Position{}, fmt.Errorf("%q is not a position: write start, end, an offset, or a time as 15m (ago), 2026-02-03 or 2026-02-03T04:05:06Z", s)
	}
	return Position{Kind: PositionTime, Time: t}, nil
}

// Resolved is a position of one partition. TimestampMs is that of the record
// there when the position was a time, and -1 otherwise.
type Resolved struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	TimestampMs int64  `json:"timestamp_ms"`
}

// Resolve returns the offset of the position in every partition of the
// topics, which came from [View.Topics]. A time after the last record is the
// end; an offset outside of the log is moved to its nearer end.
func (v *View) Resolve(topics []Topic, at Position, level sarama.IsolationLevel) ([]Resolved, error) {
	timeMs := sarama.OffsetNewest
	switch at.Kind {
	case PositionStart:
		timeMs = sarama.OffsetOldest
	case PositionTime:
		timeMs = max(at.Time.UnixMilli(), 0)
	case PositionEnd, PositionOffset:
	}
	got, err := v.offsets(topics, timeMs, level)
	if err != nil {
		return nil, err
	}
	var out []Resolved
	for _, t := range topics {
		for _, p := range t.Partitions {
			r, err := resolved(got, t.Name, p, at)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
	}
	return out, nil
}

func resolved(got offsetsAnswer, topic string, p Partition, at Position) (Resolved, error) {
	r := got[topic][p.ID]
	if r == nil {
		return Resolved{}, fmt.Errorf("topic %q partition %d has no leader: no broker that holds it is running", topic, p.ID)
	}
	if r.Err != nil && !errors.Is(r.Err, sarama.ErrNoError) {
		return Resolved{}, fmt.Errorf("topic %q partition %d: %w", topic, p.ID, r.Err)
	}
	out := Resolved{Topic: topic, Partition: p.ID, Offset: r.Offset, TimestampMs: -1}
	switch {
	case at.Kind == PositionOffset:
		out.Offset = min(max(at.Offset, p.Start), p.End)
	case at.Kind == PositionTime && r.Offset < 0:
		out.Offset = p.End
	case at.Kind == PositionTime:
		out.TimestampMs = r.Timestamp
	}
	return out, nil
}
