package storage

import "golang.org/x/sys/unix"

// StatDisk asks the operating system about the file system of a directory.
func StatDisk(dir string) (DiskSpace, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(dir, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return DiskSpace{}, err
		}
		size := int64(st.Bsize)
		return DiskSpace{FreeBytes: int64(st.Bavail) * size, TotalBytes: int64(st.Blocks) * size}, nil
	}
}
