package storage

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func TestAppendRefuses(t *testing.T) {
	clock := newTestClock()
	now := clock.ms()
	plain := func(o batch.Options, ts int64) []byte { return makeBatch(t, o, ts, "v", 2) }
	broken := plain(batch.Options{}, now)
	broken[len(broken)-1] ^= 1
	old := plain(batch.Options{}, now)
	old[16] = 1
	hour := time.Hour.Milliseconds()
	for _, c := range []struct {
		name   string
		b      []byte
		change func(*LogConfig)
		origin Origin
		want   error
	}{
		{"nothing", nil, nil, OriginClient, ErrInvalidRecord},
		{"broken", broken, nil, OriginClient, ErrCorrupt},
		{"broken replica", broken, nil, OriginReplica, ErrCorrupt},
		{"cut off", plain(batch.Options{}, now)[:70], nil, OriginClient, ErrCorrupt},
		{"cut off after a good one", append(plain(batch.Options{}, now), plain(batch.Options{}, now)[:70]...), nil, OriginClient, ErrCorrupt},
		{"old format", old, nil, OriginClient, ErrUnsupportedFormat},
		{"control batch of a client", plain(batch.Options{Control: true}, now), nil, OriginClient, ErrInvalidRecord},
		{"control batch of a coordinator", plain(batch.Options{Control: true}, now), nil, OriginCoordinator, nil},
		{"two idempotent batches", append(sequenced(t, 1, 0, 0, 1), sequenced(t, 1, 0, 1, 1)...), nil, OriginClient, ErrInvalidRecord},
		{"two plain batches", append(plain(batch.Options{}, now), plain(batch.Options{}, now)...), nil, OriginClient, nil},
		{"too large", plain(batch.Options{}, now), func(c *LogConfig) { c.MaxMessageBytes = 60 }, OriginClient, ErrTooLarge},
		{"larger than a segment", slices.Concat(slices.Repeat([][]byte{plain(batch.Options{}, now)}, 20)...), func(c *LogConfig) { c.SegmentBytes = 1024 }, OriginClient, ErrTooLarge},
		{"just in the future", plain(batch.Options{}, now+hour-1), nil, OriginClient, nil},
		{"too far in the future", plain(batch.Options{}, now+hour+1), nil, OriginClient, ErrInvalidTimestamp},
		{"microseconds", plain(batch.Options{}, now*1000), nil, OriginClient, ErrInvalidTimestamp},
		{"microseconds under log-append time", plain(batch.Options{}, now*1000), func(c *LogConfig) { c.TimestampType = LogAppendTime }, OriginClient, nil},
		{"1970", plain(batch.Options{}, 1), nil, OriginClient, nil},
		{"too far in the past", plain(batch.Options{}, now-hour), func(c *LogConfig) { c.TimestampBeforeMaxMs = hour - 1 }, OriginClient, ErrInvalidTimestamp},
		{"log-append time from a client", plain(batch.Options{LogAppendTime: true}, now), nil, OriginClient, ErrInvalidTimestamp},
		{"key on a compacted topic", plain(batch.Options{Codec: batch.Gzip}, now), func(c *LogConfig) { c.CleanupPolicy = CleanupCompact }, OriginClient, nil},
		{"no key on a compacted topic", mustBuild(t, batch.Options{Codec: batch.LZ4}, batch.Record{Timestamp: now, Value: []byte("v")}), func(c *LogConfig) { c.CleanupPolicy = CleanupCompact }, OriginClient, ErrInvalidRecord},
	} {
		s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
		cfg := DefaultLogConfig()
		if c.change != nil {
			c.change(&cfg)
		}
		l := mustCreate(t, s, cfg)
		_, err := l.Append(c.b, AppendOptions{Origin: c.origin})
		if !errors.Is(err, c.want) || (err == nil) != (l.LogEnd() > 0) || (err == nil) != (l.SizeBytes() > 0) {
			t.Errorf("%s: %v, want %v; log end %d, %d bytes", c.name, err, c.want, l.LogEnd(), l.SizeBytes())
		}
		mustClose(t, s)
	}
}

func mustBuild(t *testing.T, o batch.Options, records ...batch.Record) []byte {
	t.Helper()
	b, err := batch.Build(o, records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLogAppendTime(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	cfg := DefaultLogConfig()
	cfg.TimestampType = LogAppendTime
	l := mustCreate(t, s, cfg)
	res := mustAppend(t, l, makeBatch(t, batch.Options{Codec: batch.Snappy}, 5, "v", 3))
	mustFlush(t, l, 2)
	if res.LogAppendTimeMs != clock.ms() {
		t.Errorf("log-append time %d", res.LogAppendTimeMs)
	}
	for _, r := range readAll(t, l, 0, 1000) {
		if r.Timestamp != clock.ms() {
			t.Errorf("record %d has timestamp %d", r.Offset, r.Timestamp)
		}
	}
}
