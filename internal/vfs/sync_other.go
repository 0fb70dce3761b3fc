//go:build unix && !linux

package vfs

import "golang.org/x/sys/unix"

func dataSync(fd int) error {
	for {
		if err := unix.Fsync(fd); err != unix.EINTR {
			return err
		}
	}
}
