package console

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/configs"
)

func TestGuard(t *testing.T) {
	g := newGuard(configs.HTTP{Listen: "0.0.0.0:9640", Hosts: []string{"Logs.Example"}})
	handler := g.protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	headers := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	tests := []struct {
		name, method, host, path string
		headers                  http.Header
		want                     int
	}{
		{"address", "GET", "127.0.0.1:9640", "/api/topics", nil, 204},
		{"IPv6", "GET", "[::1]:9640", "/", nil, 204},
		{"address without port", "GET", "10.1.2.3", "/", nil, 204},
		{"IPv6 without port", "GET", "[fe80::1]", "/", nil, 204},
		{"localhost", "GET", "localhost:9640", "/", nil, 204},
		{"localhost with a dot", "HEAD", "LOCALHOST.:9640", "/", nil, 204},
		{"own name", "GET", own, "/", nil, 204},
		{"configured name", "GET", "logs.example:80", "/", nil, 204},
		{"rebound name", "GET", "attacker.example:9640", "/api/logs/search", nil, 403},
		{"rebound name like ours", "GET", "localhost.attacker.example", "/", nil, 403},
		{"no name", "GET", "", "/", nil, 403},
		{"own page", "GET", "127.0.0.1:9640", "/api/topics", headers("Origin", "http://127.0.0.1:9640", "Sec-Fetch-Site", "same-origin"), 204},
		{"other origin", "GET", "127.0.0.1:9640", "/api/topics", headers("Origin", "http://attacker.example"), 403},
		{"other port", "GET", "127.0.0.1:9640", "/api/topics", headers("Origin", "http://127.0.0.1:8080"), 403},
		{"null origin", "GET", "127.0.0.1:9640", "/api/topics", headers("Origin", "null"), 403},
		{"image of another site", "GET", "127.0.0.1:9640", "/api/topics", headers("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"), 403},
		{"script of another site", "GET", "127.0.0.1:9640", "/js/main.js", headers("Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"), 403},
		{"link from another site", "GET", "127.0.0.1:9640", "/", headers("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), 204},
		{"link to the API", "GET", "127.0.0.1:9640", "/api/topics", headers("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), 403},
		{"typed address", "GET", "127.0.0.1:9640", "/api/topics", headers("Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"), 204},
		{"post", "POST", "127.0.0.1:9640", "/api/topics", nil, 405},
		{"preflight", "OPTIONS", "127.0.0.1:9640", "/api/topics", headers("Origin", "http://attacker.example"), 405},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(tt.method, "http://placeholder"+tt.path, nil)
		r.Host = tt.host
		maps.Copy(r.Header, tt.headers)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s: %d, want %d: %s", tt.name, w.Code, tt.want, w.Body)
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: header %s opens the API to other sites", tt.name, name)
			}
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy is %q", tt.name, csp)
		}
	}
}
