package elastic

import (
	"bytes"
	"context"
	_ "embed" // the template is a file
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
)

// TemplateName is the name of the index template of all millrace-* indices.
const TemplateName = "millrace"

//go:embed template.json
var templateJSON []byte

// EnsureTemplate installs the index template of millrace-* and checks that it
// is there. While the server is away or not ready it tries again; it returns an
// error when ctx ends or the server refuses the template.
func EnsureTemplate(ctx context.Context, client *elasticsearch.Client, logger *slog.Logger) error {
	return ensure(ctx, client, TemplateName, templateJSON, logger)
}

// EnsureTemplateFor installs the same template for indices whose names begin
// with another prefix and a dash.
func EnsureTemplateFor(ctx context.Context, client *elasticsearch.Client, prefix string, logger *slog.Logger) error {
	var template map[string]any
	if err := json.Unmarshal(templateJSON, &template); err != nil {
		return fmt.Errorf("the built-in index template: %w", err)
	}
	template["index_patterns"] = []string{prefix + "-*"}
	body, err := json.Marshal(template)
	if err != nil {
		return fmt.Errorf("the built-in index template: %w", err)
	}
	return ensure(ctx, client, TemplateName+"-for-"+prefix, body, logger)
}

func ensure(ctx context.Context, client *elasticsearch.Client, name string, template []byte, logger *slog.Logger) error {
	wait, troubled := backoffFirst, false
	for {
		refused, err := installTemplate(ctx, client, name, template)
		switch {
		case err == nil:
			if troubled {
				logger.Info("elasticsearch is there")
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case refused:
			return err
		case !troubled:
			troubled = true
			logger.Warn("elasticsearch does not take the index template, trying again until it does", "error", err)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// installTemplate does it once. refused says that trying again is of no use.
func installTemplate(ctx context.Context, client *elasticsearch.Client, name string, template []byte) (refused bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	resp, err := client.Indices.PutIndexTemplate(name, bytes.NewReader(template),
		client.Indices.PutIndexTemplate.WithContext(ctx))
	if err != nil {
		return false, err
	}
	defer closeBody(resp)
	body, err := readAnswer(resp)
	if err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("install index template %s: %s", name, reasonOf(body, resp.Status()))
		return resp.StatusCode == http.StatusBadRequest, err
	}
	return false, verifyTemplate(ctx, client, name)
}

// verifyTemplate reads the template back and compares its version.
func verifyTemplate(ctx context.Context, client *elasticsearch.Client, name string) error {
	resp, err := client.Indices.GetIndexTemplate(
		client.Indices.GetIndexTemplate.WithName(name), client.Indices.GetIndexTemplate.WithContext(ctx))
	if err != nil {
		return err
	}
	defer closeBody(resp)
	body, err := readAnswer(resp)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("read index template %s: %s", name, reasonOf(body, resp.Status()))
	}
	var have struct {
		Templates []struct {
			Name     string `json:"name"`
			Template struct {
				Patterns []string `json:"index_patterns"`
				Version  int64    `json:"version"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	if err := json.Unmarshal(body, &have); err != nil {
		return fmt.Errorf("read index template %s: %w", name, err)
	}
	var want struct {
		Version int64 `json:"version"`
	}
	if err := json.Unmarshal(templateJSON, &want); err != nil {
		return fmt.Errorf("the built-in index template: %w", err)
	}
	for _, t := range have.Templates {
		if t.Name == name && t.Template.Version == want.Version {
			return nil
		}
	}
	return fmt.Errorf("index template %s was installed but is not there in version %d", name, want.Version)
}
