package storage

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/vfs"
)

// Kafka's checkpoint files are text: a version line ("0"), a line with the
// number of entries, and one line per entry with fields separated by blanks.

const checkpointVersion = "0"

func formatCheckpoint(lines []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%d\n", checkpointVersion, len(lines))
	for _, l := range lines {
		b.WriteString(l)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// parseCheckpoint returns the fields of each entry.
func parseCheckpoint(content []byte, fields int) ([][]string, error) {
	s := bufio.NewScanner(bytes.NewReader(content))
	if !s.Scan() || s.Text() != checkpointVersion {
		return nil, fmt.Errorf("version line is %q, not %q", s.Text(), checkpointVersion)
	}
	if !s.Scan() {
		return nil, errors.New("number of entries is missing")
	}
	n, err := strconv.Atoi(s.Text())
	if err != nil || n < 0 {
		return nil, fmt.Errorf("number of entries is %q", s.Text())
	}
	var out [][]string
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) != fields {
			return nil, fmt.Errorf("entry %q has not %d fields", s.Text(), fields)
		}
		out = append(out, f)
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if len(out) != n {
		return nil, fmt.Errorf("%d entries, but the file says %d", len(out), n)
	}
	return out, nil
}

// formatOffsets writes an offset checkpoint: "topic partition offset".
func formatOffsets(offsets map[TopicPartition]int64) []byte {
	lines := make([]string, 0, len(offsets))
	for tp, offset := range offsets {
		lines = append(lines, fmt.Sprintf("%s %d %d", tp.Topic, tp.Partition, offset))
	}
	slices.Sort(lines)
	return formatCheckpoint(lines)
}

func parseOffsets(content []byte) (map[TopicPartition]int64, error) {
	entries, err := parseCheckpoint(content, 3)
	if err != nil {
		return nil, err
	}
	out := make(map[TopicPartition]int64, len(entries))
	for _, f := range entries {
		p, err1 := strconv.ParseInt(f[1], 10, 32)
		offset, err2 := strconv.ParseInt(f[2], 10, 64)
		tp := TopicPartition{Topic: f[0], Partition: int32(p)}
		if err1 != nil || err2 != nil || offset < 0 || tp.validate() != nil {
			return nil, fmt.Errorf("entry %q does not parse", strings.Join(f, " "))
		}
		out[tp] = offset
	}
	return out, nil
}

// readOffsets reads an offset checkpoint, and returns its content too; a file that is
// not there is empty, its content nil.
func readOffsets(fsys vfs.FS, name string) (_ map[TopicPartition]int64, content []byte, err error) {
	content, err = vfs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return map[TopicPartition]int64{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	out, err := parseOffsets(content)
	if err != nil {
		return nil, nil, &CorruptionError{File: name, Offset: -1, Reason: err.Error()}
	}
	return out, content, nil
}

// epochEntry says that epoch's first record is at start.
type epochEntry struct {
	epoch int32
	start int64
}

func formatEpochs(entries []epochEntry) []byte {
	lines := make([]string, len(entries))
	for i, e := range entries {
		lines[i] = fmt.Sprintf("%d %d", e.epoch, e.start)
	}
	return formatCheckpoint(lines)
}

// parseEpochs reads a leader epoch checkpoint. Epochs and offsets must grow.
func parseEpochs(content []byte) ([]epochEntry, error) {
	lines, err := parseCheckpoint(content, 2)
	if err != nil {
		return nil, err
	}
	out := make([]epochEntry, 0, len(lines))
	for _, f := range lines {
		epoch, err1 := strconv.ParseInt(f[0], 10, 32)
		start, err2 := strconv.ParseInt(f[1], 10, 64)
		if err1 != nil || err2 != nil || epoch < 0 || start < 0 {
			return nil, fmt.Errorf("entry %q does not parse", strings.Join(f, " "))
		}
		if n := len(out); n > 0 && (int32(epoch) <= out[n-1].epoch || start <= out[n-1].start) {
			return nil, fmt.Errorf("entry %q does not follow %d %d", strings.Join(f, " "), out[n-1].epoch, out[n-1].start)
		}
		out = append(out, epochEntry{int32(epoch), start})
	}
	return out, nil
}

// formatPartitionMetadata writes the file that ties a directory to a topic id,
// which Kafka writes in URL-safe base64.
func formatPartitionMetadata(topicID [16]byte) []byte {
	return fmt.Appendf(nil, "version: 0\ntopic_id: %s\n", base64.RawURLEncoding.EncodeToString(topicID[:]))
}

func parsePartitionMetadata(content []byte) (id [16]byte, err error) {
	version, rest, _ := strings.Cut(string(content), "\n")
	text, ok := strings.CutPrefix(strings.TrimSpace(rest), "topic_id: ")
	if version != "version: 0" || !ok {
		return id, fmt.Errorf("content is %q", content)
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("topic id is %q", text)
	}
	copy(id[:], b)
	return id, nil
}
