// Package exchange keeps exchanges with a real Apache Kafka as golden files: a proxy
// between a test and Kafka notes the bytes of both directions, a file holds
// them, one request with its response on a line. Replayed against another broker they
// say, without a Kafka, what Kafka would have answered.
package exchange

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// lineBytesMax bounds a line of a golden file.
const lineBytesMax = 16 << 20

// Step is one request, or bytes in the place of one, and what Kafka did with it.
type Step struct {
	// Name says what is sent, for people.
	Name string `json:"name"`
	// Key and Version are the API and version that the response is read as.
	Key     int16 `json:"key"`
	Version int16 `json:"version"`
	// Raw says that the request is to be sent as it is, whatever ids are in it.
	Raw bool `json:"raw,omitempty"`
	// Last says that the client sends nothing after the request and shows it (half close).
	Last bool `json:"last,omitempty"`
	// Loads says that a coordinator may still be loading when the step comes.
	Loads bool `json:"loads,omitempty"`
	// Mask names fields of the response that differ between two brokers that are right.
	Mask []string `json:"mask,omitempty"`
	// Errors are the names of the error codes in the response, for people.
	Errors []string `json:"errors,omitempty"`
	// Request is what was sent, with its size.
	Request []byte `json:"request"`
	// Response is what came back, with its size. Without one Kafka closed the connection.
	Response []byte `json:"response,omitempty"`
}

// Write makes a golden file of steps.
func Write(path string, steps []Step) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for _, step := range steps {
		if err := encoder.Encode(step); err != nil {
			return err
		}
	}
	return os.WriteFile(path, lines.Bytes(), 0o644)
}

// Read returns the steps of a golden file.
func Read(path string) ([]Step, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	var steps []Step
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		var step Step
		if err := json.Unmarshal(lines.Bytes(), &step); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, len(steps)+1, err)
		}
		steps = append(steps, step)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return steps, nil
}
