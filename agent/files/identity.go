package files

import (
	"fmt"
	"os"
)

// Identity says which inode a path leads to.
type Identity struct {
	Device, Inode uint64
	// BirthNs is the inode's birth in nanoseconds since 1970, 0 where the
	// file system does not tell it.
	BirthNs int64
}

// Inode is an identity without its birth.
type Inode struct{ Device, Number uint64 }

// Key returns the inode.
func (id Identity) Key() Inode { return Inode{id.Device, id.Inode} }

// Same reports whether both are the same inode of the same birth, as far as
// the births are known.
func (id Identity) Same(other Identity) bool {
	return id.Key() == other.Key() && (id.BirthNs == other.BirthNs || id.BirthNs == 0 || other.BirthNs == 0)
}

// Info is what was seen of a file.
type Info struct {
	Identity
	// Size in bytes, Links the number of names, ModifiedNs the last change of its bytes.
	Size       int64
	Links      uint64
	ModifiedNs int64
	// Regular is false for folders, pipes, sockets and devices.
	Regular bool
	// Folder is true for directories.
	Folder bool
}

// StatPath looks at a path, following symbolic links.
func StatPath(path string) (Info, error) { return statPath(path) }

// StatFile looks at an open file.
func StatFile(f *os.File) (Info, error) {
	info, err := statFile(f)
	if err != nil {
		return info, fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	return info, nil
}
