package files

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Found is a regular file that a scan saw.
type Found struct {
	Info
	// Path is absolute, as it was found; symbolic links in it are not resolved.
	Path string
	// Link is true where the path itself is a symbolic link.
	Link bool
}

// Folder is one directory that a scan looked into.
type Folder struct {
	Path  string
	Files []Found
	// Folders within it, symbolic links to folders included.
	Folders []Found
}

// ReadFolder lists one directory. What vanishes meanwhile is left out.
func ReadFolder(path string) (Folder, error) {
	folder := Folder{Path: path}
	entries, err := os.ReadDir(path)
	if err != nil {
		return folder, err
	}
	for _, e := range entries {
		if e.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
			continue
		}
		full := filepath.Join(path, e.Name())
		info, err := StatPath(full)
		if err != nil {
			continue // vanished, a dangling link, or not ours to see: the next scan looks again
		}
		found := Found{Info: info, Path: full, Link: e.Type()&fs.ModeSymlink != 0}
		switch {
		case info.Folder:
			folder.Folders = append(folder.Folders, found)
		case info.Regular:
			folder.Files = append(folder.Files, found)
		}
	}
	return folder, nil
}

// Walk reads all directories that files of m can be in, each inode once, so
// that circles of symbolic links end. missing are roots that are not there yet, by
// their nearest folder that is.
func Walk(m *Matcher, skip func(path string) bool, visit func(Folder)) (missing []string, err error) {
	seen := map[Inode]bool{}
	var errs []error
	var walk func(path string)
	walk = func(path string) {
		if skip != nil && skip(path) {
			return
		}
		info, err := StatPath(path)
		if err != nil || !info.Folder || seen[info.Key()] {
			return
		}
		seen[info.Key()] = true
		folder, err := ReadFolder(path)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			return
		}
		visit(folder)
		for _, sub := range folder.Folders {
			if m.Enters(sub.Path) {
				walk(sub.Path)
			}
		}
	}
	for _, root := range m.Roots() {
		at := root
		for {
			info, err := StatPath(at)
			if err == nil && info.Folder {
				break
			}
			parent := filepath.Dir(at)
			if parent == at {
				break
			}
			at = parent
		}
		if at != root {
			missing = append(missing, at)
			continue
		}
		walk(root)
	}
	return missing, errors.Join(errs...)
}

// SortByBirth orders files by their birth, then by their last change, then by
// path: rotated files come before their successors.
func SortByBirth(found []Found) {
	slices.SortStableFunc(found, func(a, b Found) int {
		if a.BirthNs != 0 && b.BirthNs != 0 && a.BirthNs != b.BirthNs {
			return cmp.Compare(a.BirthNs, b.BirthNs)
		}
		if (a.BirthNs == 0 || b.BirthNs == 0) && a.ModifiedNs != b.ModifiedNs {
			return cmp.Compare(a.ModifiedNs, b.ModifiedNs)
		}
		return cmp.Compare(a.Path, b.Path)
	})
}
