package peers

import (
	"errors"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports of FreeAddr lie below those that systems give to whoever does not ask for one: a
// client that connects, or a server that listens anywhere, takes none of them between the
// question and the start of the server that it is for, or while that server is down.
const (
	portMin = 10_000
	portMax = 32_767
	// portTries is how many ports are tried until there seems to be no free one.
	portTries = 1000
)

// FreeAddr returns a loopback address at which nobody listens. It belongs to the test until
// its end: no other is given it, not by another process either.
func FreeAddr(t testing.TB) string {
	t.Helper()
	var errs error
	for range portTries {
		port := portMin + rand.IntN(portMax-portMin+1)
		addr, err := reserve(t, port)
		if err == nil {
			return addr
		}
		errs = err
	}
	t.Fatalf("find a free port: %v", errs)
	return ""
}

// reserve holds the UDP port of the same number until the test's end, as a sign for
// others, and looks whether the TCP port is free.
func reserve(t testing.TB, port int) (addr string, err error) {
	t.Helper()
	host := net.IPv4(127, 0, 0, 1)
	sign, err := net.ListenUDP("udp", &net.UDPAddr{IP: host, Port: port})
	if err != nil {
		return "", err
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: host, Port: port})
	if err == nil {
		addr, err = l.Addr().String(), l.Close()
	}
	if err != nil {
		return "", errors.Join(err, sign.Close())
	}
	t.Cleanup(func() {
		if err := sign.Close(); err != nil {
			t.Errorf("let go of port %d: %v", port, err)
		}
	})
	return addr, nil
}
