package agent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
)

// machineID returns a digest of the host's machine id; empty where the host
// has none.
func machineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		b, err := os.ReadFile(path)
		if id := strings.TrimSpace(string(b)); err == nil && id != "" && id != "uninitialized" {
			return digest(id)
		}
	}
	return ""
}

// digest keeps the machine id itself out of our files, as machine-id(5) asks.
func digest(id string) string {
	sum := sha256.Sum256([]byte("millrace agent " + id))
	return hex.EncodeToString(sum[:8])
}

// newAgentID returns 80 random bits.
func newAgentID() string {
	b := make([]byte, 10)
	if _, err := rand.Read(b); err != nil {
		panic("agent: no randomness: " + err.Error()) // crypto/rand never fails on a system that runs
	}
	return hex.EncodeToString(b)
}
