package peers

import (
	"net"
	"testing"
)

// A port is given to one test at a time, and none that a system hands out by itself.
func TestFreeAddrGivesNoPortTwice(t *testing.T) {
	var first string
	seen := map[string]bool{}
	t.Run("holds", func(t *testing.T) {
		first = FreeAddr(t)
		for range 300 {
			addr := FreeAddr(t)
			if seen[addr] || addr == first {
				t.Fatalf("%s is given twice", addr)
			}
			seen[addr] = true
			a, err := net.ResolveTCPAddr("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if a.Port < portMin || a.Port > portMax {
				t.Errorf("port %d", a.Port)
			}
			if _, err := reserve(t, a.Port); err == nil {
				t.Errorf("%s can be had again while its test goes on", addr)
			}
		}
	})
	a, err := net.ResolveTCPAddr("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reserve(t, a.Port); err != nil {
		t.Errorf("after the end of its test: %v", err)
	}
	busy, err := net.Listen("tcp", FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if _, err := reserve(t, busy.Addr().(*net.TCPAddr).Port); err == nil {
		t.Error("a port at which somebody listens is given")
	}
}
