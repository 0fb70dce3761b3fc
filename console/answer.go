package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/millrace/millrace/internal/clusterview"
	"github.com/millrace/millrace/internal/logquery"
)

// problem is an answer that is no answer: what went wrong, and what to do.
type problem struct {
	status int
	Msg    string
	Hint   string
}

// Error returns what went wrong.
func (p *problem) Error() string { return p.Msg }

func badRequest(msg, hint string) *problem { return &problem{http.StatusBadRequest, msg, hint} }

// answer makes a handler of a function that returns what is sent as JSON. The
// number of them that work at once, which slots counts, and their time are bounded.
func (c *Console) answer(slots chan struct{}, fn func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			writeProblem(w, &problem{http.StatusServiceUnavailable, "too many questions at once", "try again in a moment"})
			return
		}
		v, err := fn(r.WithContext(ctx))
		if err != nil {
			if r.Context().Err() == nil {
				writeProblem(w, c.explain(err))
			}
			return
		}
		writeJSON(w, http.StatusOK, v)
	})
}

// explain says what to do about an error.
func (c *Console) explain(err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, logquery.ErrQuery):
		return badRequest(strings.TrimPrefix(err.Error(), logquery.ErrQuery.Error()+": "),
			`Lucene syntax: level:ERROR AND timeout, "exact words", http.response.status_code:[500 TO 599], host.name:web*`)
	case errors.Is(err, context.DeadlineExceeded):
		return &problem{http.StatusGatewayTimeout, "no answer within " + requestTimeout.String(), "narrow the time range or the query"}
	case errors.Is(err, logquery.ErrUnreachable):
		return &problem{http.StatusBadGateway, err.Error(), "is Elasticsearch or the search node running at " + strings.Join(c.options.Elasticsearch.Addresses, ", ") + "?"}
	case errors.Is(err, clusterview.ErrUnreachable):
		return &problem{http.StatusBadGateway, err.Error(), "is a broker running at " + strings.Join(c.options.Kafka.Brokers, ", ") + "?"}
	default:
		return &problem{http.StatusBadGateway, err.Error(), "the process's own log may say more"}
	}
}

func writeProblem(w http.ResponseWriter, p *problem) {
	writeJSON(w, p.status, map[string]string{"error": p.Msg, "hint": p.Hint})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded","hint":""}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}
