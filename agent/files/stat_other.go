//go:build !linux

package files

import (
	"os"
	"syscall"
)

func statPath(path string) (Info, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func statFile(f *os.File) (Info, error) {
	fi, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func infoOf(fi os.FileInfo) Info {
	info := Info{Size: fi.Size(), ModifiedNs: fi.ModTime().UnixNano(), Regular: fi.Mode().IsRegular(), Folder: fi.IsDir(), Links: 1}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		info.Device, info.Inode, info.Links = uint64(st.Dev), uint64(st.Ino), uint64(st.Nlink)
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

// HasWriters cannot tell on this system.
func HasWriters(*os.File) Writers { return WritersUnknown }

// DataStart cannot tell on this system.
func DataStart(_ *os.File, off int64) int64 { return off }
