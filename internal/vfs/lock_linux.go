package vfs

import "golang.org/x/sys/unix"

// recordLock takes the kind of lock that Apache Kafka takes on its .lock files
// (POSIX, by fcntl), which flock does not see: neither process starts on a
// directory of the other.
func recordLock(fd uintptr) error {
	return unix.FcntlFlock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}
