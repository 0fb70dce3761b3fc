package elastic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// answerMax bounds an answer that is read: far more than a bulk answer of the
// largest batch has.
const answerMax = 256 << 20

// outcome is the answer for one document.
type outcome struct {
	status int
	// kind and reason are the server's error type and its description.
	kind, reason string
}

// refused reports whether the document itself is what the server does not
// like, so that sending it again is of no use. Errors of status 400 that are
// the index's or the cluster's are not.
func (o outcome) refused() bool {
	if o.status != http.StatusBadRequest {
		return false
	}
	switch o.kind {
	case "validation_exception", // the cluster has no room for more shards
		"index_closed_exception",
		"cluster_block_exception":
		return false
	}
	return true
}

func readAnswer(resp *esapi.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax+1))
	if err == nil && len(body) > answerMax {
		err = errors.New("it is too long")
	}
	return body, err
}

// errorCause is Elasticsearch's shape of an error.
type errorCause struct {
	Type     string      `json:"type"`
	Reason   string      `json:"reason"`
	CausedBy *errorCause `json:"caused_by"`
}

// text describes an error with what caused it.
func (c *errorCause) text() string {
	const causesMax = 5
	var out string
	for n := 0; c != nil && n < causesMax; n++ {
		if out != "" {
			out += ": "
		}
		out += c.Type + ": " + c.Reason
		c = c.CausedBy
	}
	return out
}

// isElastic reports whether an error answer is Elasticsearch's own and not that
// of something before it.
func isElastic(body []byte) bool {
	var answer struct {
		Error errorCause `json:"error"`
	}
	return json.Unmarshal(body, &answer) == nil && answer.Error.Type != ""
}

// reasonOf reads the reason out of an error answer.
func reasonOf(body []byte, status string) string {
	var answer struct {
		Error errorCause `json:"error"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Error.Type != "" {
		return answer.Error.text()
	}
	return status
}

// parseBulkAnswer returns one outcome for each of the documents.
func parseBulkAnswer(body []byte, documents int) ([]outcome, error) {
	outcomes := make([]outcome, documents)
	if noErrors(body) {
		for i := range outcomes {
			outcomes[i].status = http.StatusCreated
		}
		return outcomes, nil
	}
	var answer struct {
		Items []map[string]struct {
			Status int        `json:"status"`
			Error  errorCause `json:"error"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("the answer to a bulk request is not understood: %w", err)
	}
	if len(answer.Items) != documents {
		return nil, fmt.Errorf("the answer to a bulk request of %d documents has %d items", documents, len(answer.Items))
	}
	for i, item := range answer.Items {
		for _, result := range item {
			outcomes[i] = outcome{status: result.Status, kind: result.Error.Type}
			if result.Error.Type != "" {
				outcomes[i].reason = result.Error.text()
			}
		}
	}
	return outcomes, nil
}

// noErrors recognises an answer without errors by its beginning and end,
// so that the common one, of megabytes, is not parsed.
func noErrors(body []byte) bool {
	head := body[:min(len(body), 100)]
	if !bytes.HasPrefix(head, []byte("{")) || !bytes.HasSuffix(bytes.TrimRight(body, "\r\n "), []byte("}")) {
		return false
	}
	at := bytes.Index(head, []byte(`"errors":false`))
	items := bytes.Index(head, []byte(`"items"`))
	return at > 0 && (items < 0 || at < items)
}
