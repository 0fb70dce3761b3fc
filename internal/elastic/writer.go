package elastic

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Waits between two tries, doubled from the first to the last.
const (
	backoffFirst = 100 * time.Millisecond
	backoffLast  = 10 * time.Second
)

// reportInterval is the shortest time between two log lines about failures.
const reportInterval = time.Minute

// requestTimeout is how long one bulk request may take before it is tried again.
const requestTimeout = 2 * time.Minute

// Writer writes batches.
type Writer struct {
	client  *elasticsearch.Client
	logger  *slog.Logger
	onRetry func()

	mu sync.Mutex
	// since is when failures began; the zero time while there are none. reported
	// says that this trouble was logged, at lastReport.
	since, lastReport time.Time
	reported          bool
}

// Result counts what became of a batch.
type Result struct {
	// Created documents are new, Known ones were there already.
	Created, Known int
	// Stripped documents were refused for their content and written with
	// message, metadata and reason only; they are counted in Created or Known too.
	Stripped int
	// Refused documents could not be written in either form.
	Refused []Refusal
}

// Refusal is a document that the server does not take.
type Refusal struct {
	Item
	// Status and Reason are the server's.
	Status int
	Reason string
}

// NewWriter makes a writer. onRetry is called before each repetition of a
// request; it may be nil.
func NewWriter(client *elasticsearch.Client, logger *slog.Logger, onRetry func()) *Writer {
	if onRetry == nil {
		onRetry = func() {}
	}
	return &Writer{client: client, logger: logger, onRetry: onRetry}
}

// Write writes all documents of the batch. It returns when each is
// acknowledged or refused for good; its only error is the context's, and then
// nothing is known of the documents.
func (w *Writer) Write(ctx context.Context, b *Batch) (Result, error) {
	var res Result
	wait := backoffFirst
	for attempt := 0; b.Len() > 0; attempt++ {
		if attempt > 0 {
			w.onRetry()
			if err := sleep(ctx, wait); err != nil {
				return res, err
			}
			wait = min(2*wait, backoffLast)
		}
		rest, progress, err := w.try(ctx, b, attempt > 0, &res)
		if err != nil {
			return res, err
		}
		if progress {
			wait = backoffFirst
		}
		b = rest
	}
	return res, nil
}

// sleep waits about d, so that writers that failed together do not come back
// together.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// try sends the batch once and returns what must be sent again. progress says
// whether any document was settled.
func (w *Writer) try(ctx context.Context, b *Batch, again bool, res *Result) (rest *Batch, progress bool, err error) {
	status, outcomes, problem := w.send(ctx, b)
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	switch {
	case problem == "":
		return w.settle(ctx, b, outcomes, again, res)
	case status == http.StatusRequestEntityTooLarge || status == http.StatusBadRequest:
		return w.split(ctx, b, status, problem, res)
	}
	w.trouble(status, problem)
	return b, false, nil
}

// send makes one request. problem is empty when outcomes has one entry for each
// document. status is 0 where the server itself gave no answer.
func (w *Writer) send(ctx context.Context, b *Batch) (status int, outcomes []outcome, problem string) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := w.client.Bulk(bytes.NewReader(b.body), w.client.Bulk.WithContext(ctx))
	if err != nil {
		return 0, nil, err.Error()
	}
	defer closeBody(resp)
	body, err := readAnswer(resp)
	if err != nil {
		return resp.StatusCode, nil, "read the answer: " + err.Error()
	}
	if resp.StatusCode != http.StatusOK {
		status = resp.StatusCode
		if status == http.StatusBadRequest && !isElastic(body) {
			status = 0 // a proxy's, say; nothing is wrong with the documents
		}
		return status, nil, reasonOf(body, resp.Status())
	}
	outcomes, err = parseBulkAnswer(body, b.Len())
	if err != nil {
		return resp.StatusCode, nil, err.Error()
	}
	return resp.StatusCode, outcomes, ""
}

func closeBody(resp *esapi.Response) {
	// The answer has been read or is of no use; an error here changes nothing.
	_ = resp.Body.Close()
}

// split handles a request that the server refuses as a whole: in halves, down
// to the document that is to blame.
func (w *Writer) split(ctx context.Context, b *Batch, status int, problem string, res *Result) (*Batch, bool, error) {
	if b.Len() == 1 {
		return &Batch{}, true, w.writeStripped(ctx, b, 0, outcome{status: status, reason: problem}, res)
	}
	half := b.Len() / 2
	for _, span := range [2][2]int{{0, half}, {half, b.Len()}} {
		positions := make([]int, 0, span[1]-span[0])
		for i := span[0]; i < span[1]; i++ {
			positions = append(positions, i)
		}
		r, err := w.Write(ctx, b.part(positions))
		res.add(r)
		if err != nil {
			return nil, false, err
		}
	}
	return &Batch{}, true, nil
}

func (r *Result) add(o Result) {
	r.Created += o.Created
	r.Known += o.Known
	r.Stripped += o.Stripped
	r.Refused = append(r.Refused, o.Refused...)
}

// settle takes over the outcome of each document.
func (w *Writer) settle(ctx context.Context, b *Batch, outcomes []outcome, again bool, res *Result) (*Batch, bool, error) {
	var retry []int
	for i, o := range outcomes {
		switch {
		case o.status == http.StatusConflict && again:
			res.Created++ // written by the try before, whose answer was lost
		case o.status == http.StatusConflict:
			res.Known++
		case o.status >= 200 && o.status < 300:
			res.Created++
		case o.refused():
			if err := w.writeStripped(ctx, b, i, o, res); err != nil {
				return nil, false, err
			}
		default:
			retry = append(retry, i)
		}
	}
	if len(retry) == 0 {
		w.recovered()
		return &Batch{}, true, nil
	}
	worst := outcomes[retry[0]]
	w.trouble(worst.status, worst.reason)
	return b.part(retry), len(retry) < b.Len(), nil
}

// writeStripped writes a refused document with message, metadata and reason
// only, and hands it back when that is refused too.
func (w *Writer) writeStripped(ctx context.Context, b *Batch, i int, why outcome, res *Result) error {
	it := b.Item(i)
	doc, ok := stripped(b.Document(i), why.reason)
	if !ok {
		res.Refused = append(res.Refused, Refusal{it, why.status, why.reason})
		return nil
	}
	one := &Batch{}
	one.Create(it.Index, it.ID, doc, it.Ref)
	wait := backoffFirst
	for {
		status, outcomes, problem := w.send(ctx, one)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o := outcome{status: status, reason: problem}
		if problem == "" {
			o = outcomes[0]
		}
		switch {
		case problem == "" && o.status == http.StatusConflict:
			res.Known++
			res.Stripped++
			return nil
		case problem == "" && o.status >= 200 && o.status < 300:
			res.Created++
			res.Stripped++
			return nil
		case o.refused() || o.status == http.StatusRequestEntityTooLarge:
			res.Refused = append(res.Refused, Refusal{it, o.status, o.reason + " (and before that: " + why.reason + ")"})
			return nil
		}
		w.trouble(o.status, o.reason)
		w.onRetry()
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, backoffLast)
	}
}

// trouble logs the first failure after a success, and not more often than
// once in reportInterval: a server that fails now and then is one line.
func (w *Writer) trouble(status int, reason string) {
	w.mu.Lock()
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	first := !w.reported && now.Sub(w.lastReport) >= reportInterval
	if first {
		w.reported, w.lastReport = true, now
	}
	w.mu.Unlock()
	if first {
		w.logger.Warn("elasticsearch does not take documents, trying again until it does",
			"status", status, "reason", strings.TrimSpace(reason))
	}
}

func (w *Writer) recovered() {
	w.mu.Lock()
	was, took := w.reported, time.Since(w.since)
	w.reported, w.since = false, time.Time{}
	w.mu.Unlock()
	if was {
		w.logger.Info("elasticsearch takes documents again", "after", took.Round(time.Millisecond))
	}
}
