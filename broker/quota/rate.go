package quota

import (
	"math"
	"time"
)

const (
	// Windows is quota.window.num of Kafka: a rate is taken over the last windows,
	// the current one included.
	Windows = 11
	// Window is quota.window.size.seconds of Kafka.
	Window = time.Second

	samplesMax = Windows + 1 // one more can overlap the span
	span       = Windows * Window
)

// rate is Kafka's Rate over a SampledStat. Times are durations since any
// fixed moment.
type rate struct {
	samples [samplesMax]sample
	current int
}

type sample struct {
	used        bool
	start, last time.Duration
	value       float64
}

// record adds a value, which may be negative to take one back.
func (r *rate) record(now time.Duration, value float64) {
	s := &r.samples[r.current]
	if s.used && now-s.start >= Window {
		r.current = (r.current + 1) % samplesMax
		s = &r.samples[r.current]
		s.used = false
	}
	if !s.used {
		*s = sample{used: true, start: now}
	}
	s.value += value
	s.last = now
}

// measure returns the rate per second and the time that it is taken over. Before
// enough windows have passed the missing ones count as empty, so that a client that begins is
// not taken for one that is much too fast.
func (r *rate) measure(now time.Duration) (perSecond float64, over time.Duration) {
	sum, oldest := 0.0, now
	for i := range r.samples {
		s := &r.samples[i]
		if !s.used || now-s.last >= span {
			continue
		}
		sum += s.value
		oldest = min(oldest, s.start)
	}
	over = now - oldest
	if missing := Windows - 1 - int(over/Window); missing > 0 {
		over += time.Duration(missing) * Window
	}
	over = max(over, time.Millisecond)
	return sum / over.Seconds(), over
}

// excess returns for how long nothing may come until the rate is within the limit.
func (r *rate) excess(now time.Duration, limit float64) time.Duration {
	value, over := r.measure(now)
	if value <= limit {
		return 0
	}
	return bounded((value - limit) / limit * float64(over))
}

// bounded is a wait that a response can tell.
func bounded(nanoseconds float64) time.Duration {
	return time.Duration(min(nanoseconds, float64(math.MaxInt32)*float64(time.Millisecond)))
}

// bucket is Kafka's TokenBucket: it fills at the limit, up to what all windows
// give, and may be overdrawn once.
type bucket struct {
	tokens float64
	filled time.Duration
	begun  bool
}

func (b *bucket) fill(now time.Duration, limit float64) {
	most := limit * float64(Windows) * Window.Seconds()
	if !b.begun {
		b.begun, b.tokens, b.filled = true, most, now
	}
	b.tokens = min(b.tokens+limit*(now-b.filled).Seconds(), most)
	b.filled = now
}

// debt returns how long it takes until the bucket is no longer overdrawn.
func (b *bucket) debt(limit float64) time.Duration {
	if b.tokens >= 0 {
		return 0
	}
	return bounded(-b.tokens / limit * float64(time.Second))
}
