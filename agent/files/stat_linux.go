package files

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const statxMask = unix.STATX_TYPE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_NLINK | unix.STATX_MTIME | unix.STATX_BTIME

func statPath(path string) (Info, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, statxMask, &st); err != nil {
		return Info{}, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return infoOf(&st), nil
}

func statFile(f *os.File) (Info, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, statxMask, &st); err != nil {
		return Info{}, err
	}
	return infoOf(&st), nil
}

func infoOf(st *unix.Statx_t) Info {
	info := Info{
		Identity:   Identity{Device: unix.Mkdev(st.Dev_major, st.Dev_minor), Inode: st.Ino},
		Size:       int64(st.Size),
		Links:      uint64(st.Nlink),
		ModifiedNs: st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec),
		Regular:    st.Mode&unix.S_IFMT == unix.S_IFREG,
		Folder:     st.Mode&unix.S_IFMT == unix.S_IFDIR,
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		info.BirthNs = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return info
}

// Writers says whether a process has a file open for writing.
type Writers uint8

// What can be known of a file's writers.
const (
	WritersUnknown Writers = iota
	WritersNone
	WritersSome
)

// HasWriters asks the kernel by way of a read lease, which it grants only on files that nobody has open for writing.
// The lease is given back at once. It needs the file's owner or CAP_LEASE.
func HasWriters(f *os.File) Writers {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if errors.Is(err, unix.EAGAIN) {
		return WritersSome
	}
	if err != nil {
		return WritersUnknown
	}
	if _, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK); err != nil {
		return WritersUnknown
	}
	return WritersNone
}

// DataStart returns the offset of the first byte that is not in a hole, and
// off where the file system does not tell.
func DataStart(f *os.File, off int64) int64 {
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if err != nil || at < off {
		return off
	}
	return at
}
