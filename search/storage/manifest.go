package storage

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/column"
)

const manifestName = "MANIFEST"

// manifest is what an index consists of. It is replaced as a whole.
type manifest struct {
	Format    int             `json:"format"`
	Name      string          `json:"name"`
	UUID      string          `json:"uuid"`
	CreatedMs int64           `json:"created_ms"`
	WrittenMs int64           `json:"written_ms"`
	Settings  map[string]any  `json:"settings,omitempty"`
	Mapping   json.RawMessage `json:"mapping"`
	// FlushedSeq is the highest sequence number that is in a segment; all below are.
	FlushedSeq  int64         `json:"flushed_seq"`
	NextSegment int64         `json:"next_segment"`
	Segments    []segmentMeta `json:"segments"`
}

// replaceFile writes a file so that after a crash there is the old or the new one.
func replaceFile(fs vfs.FS, dir, name string, content []byte) error {
	temporary := path.Join(dir, name+".new")
	if err := writeFile(fs, temporary, content); err != nil {
		return err
	}
	if err := fs.Rename(temporary, path.Join(dir, name)); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}

func writeManifest(fs vfs.FS, dir string, m manifest) error {
	m.Format = formatVersion
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return replaceFile(fs, dir, manifestName, content)
}

func readManifest(fs vfs.FS, dir string) (manifest, error) {
	var m manifest
	name := path.Join(dir, manifestName)
	content, err := readFile(fs, name)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return m, fmt.Errorf("%w: %w", &CorruptionError{File: name, Reason: "not JSON"}, err)
	}
	if m.Format > formatVersion {
		return m, fmt.Errorf("%s has format %d, written by a newer Millrace; this one reads up to %d", name, m.Format, formatVersion)
	}
	return m, nil
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	content := make([]byte, info.Size())
	if len(content) == 0 {
		return content, nil
	}
	if n, err := f.ReadAt(content, 0); n < len(content) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return content, nil
}

// A deletions file is the bitmaps of a segment's row groups, each with its number of
// words, and a CRC-32C at the end.

func deletionsName(dir string, segment, generation int64) string {
	return path.Join(dir, fmt.Sprintf("%d.%d.del", segment, generation))
}

func encodeDeletions(deleted []column.Bitmap) []byte {
	var out []byte
	for _, b := range deleted {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(b)))
		for _, word := range b {
			out = binary.LittleEndian.AppendUint64(out, word)
		}
	}
	return binary.LittleEndian.AppendUint32(out, checksum(out))
}

func readDeletions(fs vfs.FS, name string, groups int) ([]column.Bitmap, error) {
	data, err := readFile(fs, name)
	if err != nil {
		return nil, err
	}
	corrupt := &CorruptionError{File: name, Offset: int64(len(data)), Reason: "deletions"}
	if len(data) < 4 || checksum(data[:len(data)-4]) != binary.LittleEndian.Uint32(data[len(data)-4:]) {
		return nil, corrupt
	}
	data = data[:len(data)-4]
	deleted := make([]column.Bitmap, groups)
	for i := range deleted {
		if len(data) < 4 {
			return nil, corrupt
		}
		words := int(binary.LittleEndian.Uint32(data))
		data = data[4:]
		if words > column.RowsMax/64 || len(data) < 8*words {
			return nil, corrupt
		}
		for range words {
			deleted[i] = append(deleted[i], binary.LittleEndian.Uint64(data))
			data = data[8:]
		}
	}
	return deleted, nil
}
