package configs

import "strings"

// Reachable turns an address that listens on all interfaces ("0.0.0.0:9092",
// "[::]:9092", ":9092") into one that can be connected to from this host.
func Reachable(listen string) string {
	for _, everywhere := range []string{"0.0.0.0:", "[::]:", ":"} {
		if port, ok := strings.CutPrefix(listen, everywhere); ok {
			return "127.0.0.1:" + port
		}
	}
	return listen
}
