package console

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/logquery"
)

// tailEvent is one look's worth of new lines, oldest first.
type tailEvent struct {
	Hits []logquery.Hit `json:"hits"`
	// Skipped is the number of new lines that were too many to send.
	Skipped int64 `json:"skipped"`
}

// tail answers /api/logs/tail?q=&index=&since= with server-sent events: "lines" with
// lines that were ingested from since on (now without it, at most a minute
// ago), "problem" with an error, after which it goes on trying, "end" when the
// page is to connect again.
func (c *Console) tail(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query(), time.Now())
	if err == nil {
		err = c.logsErr
	}
	if err != nil {
		writeProblem(w, c.explain(err))
		return
	}
	select {
	case c.tails <- struct{}{}:
		defer func() { <-c.tails }()
	default:
		writeProblem(w, &problem{http.StatusServiceUnavailable, fmt.Sprintf("there are %d live tails already", tailsMax), "close one, or try again later"})
		return
	}
	c.metrics.tails.Inc()
	defer c.metrics.tails.Dec()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	ctx, cancel := context.WithTimeout(r.Context(), tailLife)
	defer cancel()
	stream := &eventStream{w: w, control: http.NewResponseController(w)}
	t := newTailer(q, time.Now())
	if stream.send("open", struct{}{}) == nil {
		c.runTail(ctx, stream, t)
	}
}

// runTail looks for new lines until the client or the process goes.
func (c *Console) runTail(ctx context.Context, stream *eventStream, t *tailer) {
	ticker := time.NewTicker(tailInterval)
	defer ticker.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			_ = stream.send("end", struct{}{}) // a client that has gone needs none
			return
		case <-c.ending:
			_ = stream.send("end", struct{}{}) // a client that has gone needs none
			return
		case now := <-ticker.C:
			event, err := t.look(ctx, c.logs, now)
			switch {
			case ctx.Err() != nil:
				continue
			case err != nil && failed:
				err = stream.ping()
			case err != nil:
				p := c.explain(err)
				err = stream.send("problem", map[string]string{"error": p.Msg, "hint": p.Hint})
				failed = true
			case len(event.Hits) == 0 && !failed:
				err = stream.ping()
			default:
				err = stream.send("lines", event)
				failed = false
			}
			if err != nil {
				return
			}
		}
	}
}

// eventStream writes server-sent events. A client that does not read is given up.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *eventStream) send(event string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", event, body))
}

// ping is a comment, which keeps the connection known to be alive.
func (s *eventStream) ping() error { return s.write(":\n\n") }

func (s *eventStream) write(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// tailer finds lines that became visible since the look before. It goes by
// event.ingested, the time at which a pipeline took the line up, looks back
// a little for lines that were indexed late, and remembers what it has given.
type tailer struct {
	query logquery.Query
	began time.Time
	// looked is set after the first look, which goes back to began.
	looked bool
	seen   map[string]time.Time
}

func newTailer(q logquery.Query, now time.Time) *tailer {
	began := now
	if !q.Since.IsZero() && q.Since.Before(now) {
		began = q.Since
	}
	if oldest := now.Add(-tailPastMax); began.Before(oldest) {
		began = oldest
	}
	q.TimeField, q.Size, q.Ascending, q.After = "event.ingested", tailLinesMax, false, nil
	q.Until = time.Time{}
	return &tailer{query: q, began: began, seen: map[string]time.Time{}}
}

func (t *tailer) look(ctx context.Context, transport logquery.Transport, now time.Time) (tailEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	t.query.Since = t.began
	if from := now.Add(-tailOverlap); t.looked && from.After(t.began) {
		t.query.Since = from
	}
	result, err := logquery.Search(ctx, transport, t.query)
	if err != nil {
		return tailEvent{}, err
	}
	t.looked = true
	known := 0
	event := tailEvent{Hits: []logquery.Hit{}}
	for _, hit := range result.Hits {
		id := hit.Index + "/" + hit.ID
		if _, ok := t.seen[id]; ok {
			known++
			continue
		}
		t.seen[id] = now
		hit.Sort = nil
		event.Hits = append(event.Hits, hit)
	}
	slices.Reverse(event.Hits)
	if known == 0 && result.Total > int64(len(result.Hits)) {
		event.Skipped = result.Total - int64(len(result.Hits))
	}
	t.forget(now)
	return event, nil
}

// forget drops ids that no look can find any more, and all when there are too many.
func (t *tailer) forget(now time.Time) {
	maps.DeleteFunc(t.seen, func(_ string, at time.Time) bool { return now.Sub(at) > 2*tailOverlap })
	if len(t.seen) > tailSeenMax {
		clear(t.seen)
		t.began = now
	}
}
