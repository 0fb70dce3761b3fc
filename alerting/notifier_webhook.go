package alerting

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/millrace/millrace/configs"
)

// webhook posts alerts over HTTP. Any answer but 2xx is a failure.
type webhook struct {
	cfg    configs.WebhookNotifier
	client *http.Client
	side   int
}

func newWebhook(cfg configs.WebhookNotifier, parallel int) *webhook {
	defaults := configs.DefaultWebhook()
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaults.Timeout
	}
	if cfg.RetryFor <= 0 {
		cfg.RetryFor = defaults.RetryFor
	}
	return &webhook{cfg: cfg, side: parallel, client: &http.Client{Timeout: cfg.Timeout.D()}}
}

func (w *webhook) retryFor() time.Duration { return w.cfg.RetryFor.D() }
func (w *webhook) parallel() int           { return w.side }
func (w *webhook) recorded() bool          { return true }

// send posts the alert once. Repetitions have the same Idempotency-Key.
func (w *webhook) send(ctx context.Context, a *Alert, line []byte) error {
	body := w.body(a, line)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post to webhook: %w", err)
	}
	contentType := "text/plain; charset=utf-8"
	if json.Valid(body) {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "millrace")
	for name, value := range w.cfg.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Idempotency-Key", a.ID)
	resp, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("post to webhook: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, responseBodyMax))
	err = closing(err, resp.Body.Close)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("post to webhook: answered %s: %s", resp.Status, cut(string(answer), 200))
	}
	if err != nil {
		return fmt.Errorf("read the webhook's answer: %w", err)
	}
	return nil
}

// body returns what is posted: the template's text, or the alert as JSON.
// Where the template is broken, the alert goes out as JSON that says so.
func (w *webhook) body(a *Alert, line []byte) []byte {
	if w.cfg.Body == "" {
		return line
	}
	text, problem := render(w.cfg.Body, a, "")
	if problem == "" {
		return []byte(text)
	}
	standard := *a
	standard.TemplateError = problem
	standard.Summary += " [" + problem + "]"
	body, err := json.Marshal(&standard)
	if err != nil {
		return line
	}
	return body
}
