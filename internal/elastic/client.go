// Package elastic turns Millrace's configuration into go-elasticsearch
// clients, so that pipelines, console and the command line reach Elasticsearch or
// the embedded search node in the same way. It holds no state.
package elastic

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8"

	"github.com/millrace/millrace/configs"
)

// NewClient returns a client for the configured addresses. It does not
// connect. Retries are the caller's: only it knows what may be sent twice.
func NewClient(cfg configs.Elasticsearch) (*elasticsearch.Client, error) {
	if len(cfg.Addresses) == 0 {
		return nil, fmt.Errorf("no Elasticsearch addresses are configured: set elasticsearch.addresses, for instance [http://127.0.0.1:9200]")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 16
	transport.ResponseHeaderTimeout = 2 * time.Minute
	c := elasticsearch.Config{
		Addresses: cfg.Addresses, Username: cfg.Username, Password: cfg.Password, APIKey: cfg.APIKey,
		DisableRetry: true, Transport: transport,
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read elasticsearch.ca_file: %w", err)
		}
		c.CACert = pem
	}
	client, err := elasticsearch.NewClient(c)
	if err != nil {
		return nil, fmt.Errorf("elasticsearch.addresses %s: %w", strings.Join(cfg.Addresses, ", "), err)
	}
	return client, nil
}
