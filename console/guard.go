package console

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/millrace/millrace/configs"
)

// policy is what the page may load and run: its own files only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard refuses requests that a browser makes for another web site.
type guard struct {
	hosts map[string]bool
}

func newGuard(cfg configs.HTTP) guard {
	g := guard{map[string]bool{"localhost": true}}
	if host, _, err := net.SplitHostPort(cfg.Listen); err == nil && host != "" {
		g.hosts[strings.ToLower(host)] = true
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		g.hosts[strings.ToLower(name)] = true
	}
	for _, h := range cfg.Hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

// protect wraps a handler: host, origin and method are checked, and the
// headers that bind the browser are set.
func (g guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			writeProblem(w, &problem{http.StatusMethodNotAllowed, "only GET and HEAD are answered", "nothing can be changed here"})
		case !g.knows(r.Host):
			writeProblem(w, &problem{
				http.StatusForbidden, "the host name " + strings.ToValidUTF8(r.Host, "?") + " is not one of this console's",
				"use the IP address, or add the name to http.hosts in millrace.yaml",
			})
		case foreign(r):
			writeProblem(w, &problem{http.StatusForbidden, "requests of other web sites are refused", "open the console itself"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knows reports whether a Host header can only come from somebody who meant
// this host: a name of it, or an address, which cannot be rebound.
func (g guard) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return g.hosts[strings.ToLower(strings.TrimSuffix(host, "."))]
}

// foreign reports whether a browser made the request for another origin. A
// link that somebody follows to the page (a navigation) is not foreign.
func foreign(r *http.Request) bool {
	navigation := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return !navigation || strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/debug/")
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}
