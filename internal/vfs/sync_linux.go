package vfs

import "golang.org/x/sys/unix"

func dataSync(fd int) error {
	for {
		if err := unix.Fdatasync(fd); err != unix.EINTR {
			return err
		}
	}
}
