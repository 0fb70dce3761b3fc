package peers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const toxiproxyVersion = "v2.5.0"

// Toxiproxy runs a toxiproxy server, which tests of other projects steer over HTTP, and
// returns its base URL. Each of proxies is a name and what it forwards: the address
// it listens on, and the one it connects to.
func Toxiproxy(t testing.TB, proxies map[string][2]string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		Missing(t, "toxiproxy is built with go")
	}
	dir := install(t, "toxiproxy-"+toxiproxyVersion, func(tmp string) error {
		return runWith(tmp, append(os.Environ(), "GOBIN="+tmp), "go", "install", "github.com/Shopify/toxiproxy/v2/cmd/server@"+toxiproxyVersion)
	})
	type proxy struct {
		Name     string `json:"name"`
		Listen   string `json:"listen"`
		Upstream string `json:"upstream"`
		Enabled  bool   `json:"enabled"`
	}
	var all []proxy
	for name, addrs := range proxies {
		all = append(all, proxy{Name: name, Listen: addrs[0], Upstream: addrs[1], Enabled: true})
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, exec.CommandContext(t.Context(), filepath.Join(dir, "server"), "-host", host, "-port", port), filepath.Join(t.TempDir(), "toxiproxy.log"))
	url := "http://" + host + ":" + port
	p.await(t, "toxiproxy", func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/populate", bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // its status says all
		if resp.StatusCode != http.StatusCreated {
			return fmt.Errorf("populate: %s", resp.Status)
		}
		return nil
	})
	return url
}
