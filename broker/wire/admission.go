package wire

import (
	"fmt"
	"time"
)

// Limits of connections, besides that of all together (Kafka's max.connections.per.ip,
// listener.name.*.max.connections and KIP-612). A connection too many is closed at once;
// one that comes too soon after others of its address is held, unread, for as long as
// its client has to wait, and closed then: a client that connects again at once
// is slowed down.

// admission counts connections. It is guarded by Server.mu.
type admission struct {
	hosts     map[string]int
	listeners map[*listener]int
	held      map[*Conn]*time.Timer
}

func newAdmission() admission {
	return admission{hosts: make(map[string]int), listeners: make(map[*listener]int), held: make(map[*Conn]*time.Timer)}
}

// admit counts a connection and lets it in, or says why it does not. The caller holds mu.
func (s *Server) admit(c *Conn) error {
	a := &s.admission
	perHost, override := s.cfg.ConnectionsPerHostOf[c.host]
	if !override {
		perHost = s.cfg.ConnectionsPerHost
	}
	switch perListener := c.listener.ConnectionsMax; {
	case len(s.conns)+len(a.held) >= s.cfg.ConnectionsMax:
		return fmt.Errorf("connections_max of %d is reached", s.cfg.ConnectionsMax)
	case perListener > 0 && a.listeners[c.listener] >= perListener:
		return fmt.Errorf("connections_max of %d is reached at the listener %s", perListener, c.listener.Name)
	case (override || perHost > 0) && a.hosts[c.host] >= perHost:
		return fmt.Errorf("connections_max_per_ip of %d is reached", perHost)
	}
	a.hosts[c.host]++
	a.listeners[c.listener]++
	s.conns[c] = struct{}{}
	return nil
}

// leave forgets a connection that was let in.
func (s *Server) leave(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.admission
	delete(s.conns, c)
	a.listeners[c.listener]--
	if a.hosts[c.host]--; a.hosts[c.host] == 0 {
		delete(a.hosts, c.host)
	}
}

// hold keeps a connection unread for a while and closes it then. It reports false
// if it need not wait, or there is no room for it. The caller holds mu.
func (s *Server) hold(c *Conn) bool {
	if s.cfg.Quota == nil || len(s.conns)+len(s.admission.held) >= s.cfg.ConnectionsMax {
		return false
	}
	wait := s.cfg.Quota.ConnectionDelay(c.host)
	if wait <= 0 {
		return false
	}
	s.metrics.held.Inc()
	s.admission.held[c] = time.AfterFunc(wait, func() {
		s.mu.Lock()
		delete(s.admission.held, c)
		s.mu.Unlock()
		c.close(nil)
	})
	return true
}

// letGo closes the connections that are held. The caller holds mu.
func (s *Server) letGo() {
	for c, timer := range s.admission.held {
		if timer.Stop() {
			delete(s.admission.held, c)
			c.close(nil)
		}
	}
}
