package broker

import "path/filepath"

// Layout says where in a data directory the parts of a broker lie. The metadata
// is in metadata/ in any case.
type Layout int

const (
	// LayoutOwn keeps partitions in logs/.
	LayoutOwn Layout = iota
	// LayoutKafka keeps partitions in the data directory itself, as Apache Kafka
	// does in each of its log.dirs.
	LayoutKafka
)

// logs is the directory of the partitions within the data directory.
func (l Layout) logs() string {
	if l == LayoutKafka {
		return "."
	}
	return "logs"
}

func (n *Node) logDir() string { return filepath.Join(n.dir, n.layout.logs()) }
