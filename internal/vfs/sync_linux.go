package vfs

import "golang.org/x/sys/unix"

// fileSystemSync forces everything in the file system of an open file to disk.
// Since Linux 5.8 it reports writes that failed.
func fileSystemSync(fd int) error {
	for {
		if err := unix.Syncfs(fd); err != unix.EINTR {
			return err
		}
	}
}

func dataSync(fd int) error {
	for {
		if err := unix.Fdatasync(fd); err != unix.EINTR {
			return err
		}
	}
}
