package acl

import (
	"net/netip"
	"slices"
)

// masks are the operations that bindings allow and deny, as bit sets.
type masks struct {
	allow, deny uint32
}

func (m masks) with(other masks) masks { return masks{m.allow | other.allow, m.deny | other.deny} }

const allOperations = ^uint32(0)

// masksOf says which operations a binding allows or denies when they are asked
// for. Only what is allowed implies more.
func masksOf(b *Binding) masks {
	set := uint32(1) << b.Operation
	if b.Operation == OperationAll {
		set = allOperations
	}
	if b.Permission != Allow {
		return masks{deny: set}
	}
	switch b.Operation { //nolint:exhaustive // the others imply nothing
	case Read, Write, Delete, Alter:
		set |= 1 << Describe
	case AlterConfigs:
		set |= 1 << DescribeConfigs
	}
	return masks{allow: set}
}

// rules are the bindings of one principal for one pattern. They are immutable.
type rules struct {
	bindings []Binding
	anyHost  masks
	hosts    map[string]masks // beside anyHost; nil when there are none
}

func newRules(bindings []Binding) *rules {
	r := &rules{bindings: bindings}
	for i := range bindings {
		b := &bindings[i]
		if b.Host == Wildcard {
			r.anyHost = r.anyHost.with(masksOf(b))
			continue
		}
		if r.hosts == nil {
			r.hosts = make(map[string]masks)
		}
		host := canonicalHost(b.Host)
		r.hosts[host] = r.hosts[host].with(masksOf(b))
	}
	return r
}

// from returns what holds for a host. r may be nil.
func (r *rules) from(host string) masks {
	if r == nil {
		return masks{}
	}
	if r.hosts == nil {
		return r.anyHost
	}
	return r.anyHost.with(r.hosts[host])
}

// pattern holds the rules of one literal name or prefix, by principal. It is immutable.
type pattern map[string]*rules

// forClient returns what holds for a principal and host.
func (p pattern) forClient(principal, host string) masks {
	return p[principal].from(host).with(p[WildcardPrincipal].from(host))
}

// change puts a binding into a pattern that nobody else has yet, or takes it away.
func (p pattern) change(b Binding, add bool) {
	var bindings []Binding
	if old := p[b.Principal]; old != nil {
		bindings = slices.Clone(old.bindings)
	}
	at := slices.Index(bindings, b)
	switch {
	case add && at < 0:
		bindings = append(bindings, b)
	case !add && at >= 0:
		bindings = slices.Delete(bindings, at, at+1)
	default:
		return
	}
	if len(bindings) == 0 {
		delete(p, b.Principal)
		return
	}
	p[b.Principal] = newRules(bindings)
}

// canonicalHost returns the form in which clients' addresses are asked for: Kafka
// writes IPv6 addresses in full, users write them as they like.
func canonicalHost(host string) string {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	return addr.Unmap().String()
}
