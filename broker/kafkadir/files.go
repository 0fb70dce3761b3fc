package kafkadir

import (
	"errors"
	"io/fs"

	"github.com/millrace/millrace/internal/vfs"
)

// exists says whether a file or directory is there.
func exists(fsys vfs.FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
