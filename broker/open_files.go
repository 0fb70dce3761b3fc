package broker

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/configs"
)

const (
	// otherFiles is left for what is neither a connection nor a segment:
	// metadata, checkpoints, indexes that are being written, other parts of the process.
	otherFiles = 256
	// segmentFilesLeast and segmentFilesMost bound what a limit leaves.
	segmentFilesLeast, segmentFilesMost = 64, 65_536
)

// segmentFilesMax is how many segment files may be open at once. The process's
// limit is raised to the most that it may have first.
func segmentFilesMax(cfg configs.Broker) (int, error) {
	limit, err := raiseFileLimit()
	if err != nil {
		return 0, err
	}
	if cfg.OpenFiles > 0 {
		return cfg.OpenFiles, nil
	}
	return segmentFilesWithin(limit, cfg.ConnectionsMax), nil
}

// segmentFilesWithin shares a limit out: connections come first, but at least
// a quarter is for segments.
func segmentFilesWithin(limit uint64, connectionsMax int) int {
	all := int(min(limit, 1<<30))
	return min(max(all-connectionsMax-otherFiles, all/4, segmentFilesLeast), segmentFilesMost)
}

func raiseFileLimit() (uint64, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	if l.Cur < l.Max {
		raised := unix.Rlimit{Cur: l.Max, Max: l.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err == nil {
			l = raised // where it cannot be raised, what there is has to do
		}
	}
	return uint64(l.Cur), nil
}
