package alerting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8"

	"github.com/millrace/millrace/internal/event"
)

// IndexPrefix begins the names of the indices that hold alerts; the alert's
// day follows.
const IndexPrefix = "millrace-alerts"

// index writes each alert into Elasticsearch under its id, so that it is
// there once however often it is sent.
type index struct {
	client *elasticsearch.Client
	side   int
}

func (x *index) retryFor() time.Duration { return 0 }
func (x *index) parallel() int           { return x.side }
func (x *index) recorded() bool          { return false }

// errRefused is a document that Elasticsearch will never take as it is.
var errRefused = errors.New("refused")

func (x *index) send(ctx context.Context, a *Alert, _ []byte) error {
	err := x.create(ctx, a, document(a, true))
	if errors.Is(err, errRefused) {
		// a field of the sample does not fit the mapping: the alert is
		// found without it
		return x.create(ctx, a, document(a, false))
	}
	return err
}

// document is the alert as it is indexed: its summary also as message, and
// without the sample where that was refused.
func document(a *Alert, sample bool) *indexed {
	d := &indexed{Alert: *a, Message: a.Summary}
	if !sample {
		d.Sample = nil
		d.SampleText = string(a.Sample)
	}
	return d
}

type indexed struct {
	Alert
	Message    string `json:"message"`
	SampleText string `json:"sample_text,omitempty"`
}

// indexName follows from the alert alone, so that a repetition finds the first.
func indexName(a *Alert) string {
	e := event.Event{Timestamp: a.Time, RecordTime: a.RaisedAt}
	return e.IndexName(IndexPrefix)
}

func (x *index) create(ctx context.Context, a *Alert, doc *indexed) error {
	body, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("index alert: %w", err)
	}
	resp, err := x.client.Create(indexName(a), a.ID, bytes.NewReader(body), x.client.Create.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("index alert: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, responseBodyMax))
	err = closing(err, resp.Body.Close)
	switch {
	case resp.StatusCode == http.StatusConflict:
		return nil // it is there
	case resp.StatusCode == http.StatusBadRequest:
		return fmt.Errorf("index alert: %w: %s", errRefused, cut(string(answer), 500))
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return fmt.Errorf("index alert: answered %s: %s", resp.Status(), cut(string(answer), 500))
	case err != nil:
		return fmt.Errorf("index alert: %w", err)
	}
	return nil
}
