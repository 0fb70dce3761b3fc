package broker

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// connectionOverrides reads limits of the form address:number, as Kafka's
// max.connections.per.ip.overrides.
func connectionOverrides(overrides []string) (map[string]int, error) {
	limits := make(map[string]int, len(overrides))
	for _, o := range overrides {
		at := strings.LastIndexByte(o, ':')
		if at < 0 {
			return nil, fmt.Errorf("broker.connections_max_per_ip_overrides: %q is not of the form address:number", o)
		}
		addr, err := netip.ParseAddr(strings.Trim(o[:at], "[]"))
		if err != nil {
			return nil, fmt.Errorf("broker.connections_max_per_ip_overrides: %q: %w", o, err)
		}
		limit, err := strconv.Atoi(o[at+1:])
		if err != nil || limit < 0 {
			return nil, fmt.Errorf("broker.connections_max_per_ip_overrides: %q has no number of connections", o)
		}
		limits[addr.Unmap().String()] = limit
	}
	return limits, nil
}
