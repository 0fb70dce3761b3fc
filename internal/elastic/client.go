// Package elastic is how Millrace's parts write to Elasticsearch, or to the
// embedded search node, which speaks the same API: the client made from the
// configuration, the index template of all millrace-* indices, and bulk
// requests that end only when every document is acknowledged or refused for
// good.
//
// A [Writer] is safe for concurrent use. Its failure model: a server that is
// away, overloaded or restarting is waited for, for as long as the context
// lives; a document that is already there (409) counts as written; a document
// that the server refuses for its content is written again with its message,
// metadata and the reason only, and handed back to the caller when even that is
// refused. Nothing is written by halves: op_type create with a fixed _id makes
// every repetition harmless.
package elastic

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/elastic/go-elasticsearch/v8"

	"github.com/millrace/millrace/configs"
)

// NewClient makes a client of the configuration. It connects on first use.
// Requests are not repeated by the client itself: who calls knows better
// whether that is right.
func NewClient(cfg configs.Elasticsearch) (*elasticsearch.Client, error) {
	if len(cfg.Addresses) == 0 {
		return nil, fmt.Errorf("no Elasticsearch address is configured: set elasticsearch.addresses, for instance [http://127.0.0.1:9200]")
	}
	transport, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	client, err := elasticsearch.NewClient(elasticsearch.Config{
		Addresses:    cfg.Addresses,
		Username:     cfg.Username,
		Password:     cfg.Password,
		APIKey:       cfg.APIKey,
		Transport:    transport,
		DisableRetry: true,
	})
	if err != nil {
		return nil, fmt.Errorf("elasticsearch client: %w", err)
	}
	return client, nil
}

func newTransport(cfg configs.Elasticsearch) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
	}
	if cfg.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read elasticsearch.ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("elasticsearch.ca_file %s holds no PEM certificate", cfg.CAFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return t, nil
}
