package alerting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"text/template"
)

// render fills a text/template over the alert. An empty template gives the
// standard text; a broken one gives it too, with the reason, because an alert
// must never be held back by its wording.
func render(text string, a *Alert, standard string) (out, problem string) {
	if text == "" {
		return standard, ""
	}
	t, err := parseTemplate(text)
	if err == nil {
		var b limitedBuffer
		if err = t.Execute(&b, a); err == nil {
			return b.text.String(), ""
		}
	}
	problem = fmt.Sprintf("the template is broken, this is the standard text: %v", err)
	return standard + " [" + problem + "]", problem
}

// parseTemplate reads a template of a rule or a notifier. It may use the
// function json, which writes any value as JSON.
func parseTemplate(text string) (*template.Template, error) {
	return template.New("alert").Funcs(template.FuncMap{"json": toJSON}).Parse(text)
}

func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// errTooLong ends a template that writes without end.
var errTooLong = errors.New("it writes more than 1 MiB")

type limitedBuffer struct{ text bytes.Buffer }

// Write appends to the buffer as long as it is within its limit.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > renderedMax {
		return 0, errTooLong
	}
	return b.text.Write(p)
}
