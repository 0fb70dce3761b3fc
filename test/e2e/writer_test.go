package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// rotation is how a log file is rotated.
type rotation int

const (
	byRename rotation = iota
	byCopyTruncate
)

// logWriter writes lines to one file as fast as the disk takes them and
// rotates it at a size. Rotated copies stay in the folder.
type logWriter struct {
	path    string
	rotate  rotation
	sizeMax int64
	ledger  *ledger

	file      *os.File
	size      int64
	rotations int
	buffer    bytes.Buffer
	next      int
}

// pieceLines is how many lines a writer appends before it is another's turn.
const pieceLines = 2000

func (w *logWriter) open() error {
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	w.file, w.size = f, 0
	return nil
}

// write appends the next lines of the corpus, as a busy service does, and
// rotates between two writes.
func (w *logWriter) write(corpus [][]byte) error {
	if w.file == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	for range pieceLines {
		line := corpus[w.next%len(corpus)]
		w.next++
		w.ledger.add(line)
		w.buffer.Write(line)
		w.buffer.WriteByte('\n')
		if w.buffer.Len() >= 64<<10 {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return w.flush()
}

func (w *logWriter) flush() error {
	n, err := w.file.Write(w.buffer.Bytes())
	w.size += int64(n)
	w.buffer.Reset()
	if err == nil && w.size >= w.sizeMax {
		err = w.turn()
	}
	return err
}

func (w *logWriter) turn() error {
	w.rotations++
	rotated := fmt.Sprintf("%s.%d", w.path, w.rotations)
	if w.rotate == byCopyTruncate {
		if err := copyFile(w.path, rotated); err != nil {
			return err
		}
		w.size = 0
		return w.file.Truncate(0)
	}
	if err := os.Rename(w.path, rotated); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	return w.open()
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// corpus returns the lines that are written again and again: real logs where
// a folder of them lies beside the checkout, generated ones otherwise.
func corpus(t *testing.T) [][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../../shared/data/loghub/*.log")
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\n'})...)
	}
	if len(lines) == 0 {
		lines = generated(16_000)
	}
	t.Logf("corpus: %d lines from %d files", len(lines), len(paths))
	return lines
}

// generated makes lines of several shapes, the same ones in every run.
func generated(count int) [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	lines := make([][]byte, 0, count)
	for i := range count {
		var line string
		switch i % 5 {
		case 0:
			line = fmt.Sprintf(`10.0.%d.%d - - [21/Nov/2026:10:%02d:%02d +0000] "GET /item/%d HTTP/1.1" %d %d "-" "curl/8.5"`, random.IntN(256), random.IntN(256), random.IntN(60), random.IntN(60), random.IntN(1e6), 200+100*random.IntN(4), random.IntN(1e5))
		case 1:
			line = fmt.Sprintf(`2026-11-21 10:%02d:%02d,%03d ERROR [main] com.example.Store: Timed out after %d ms waiting for block %d`, random.IntN(60), random.IntN(60), random.IntN(1000), random.IntN(1e4), random.Int64())
		case 2:
			line = fmt.Sprintf(`{"time":"2026-11-21T10:%02d:%02dZ","level":"info","msg":"paid","order":%d,"amount":%d.%02d}`, random.IntN(60), random.IntN(60), random.IntN(1e9), random.IntN(1e3), random.IntN(100))
		case 3:
			line = fmt.Sprintf("Nov 21 10:%02d:%02d host%d sshd[%d]: Failed password for root from 192.0.2.%d port %d ssh2\r", random.IntN(60), random.IntN(60), random.IntN(9), random.IntN(1e5), random.IntN(256), random.IntN(65536))
		case 4:
			line = fmt.Sprintf("\tat com.example.Handler%d.run(Handler.java:%d) na\u00efve \u2603 caf\xe9", random.IntN(50), random.IntN(900))
		}
		lines = append(lines, []byte(line))
	}
	return append(lines, nil) // an empty line is a line
}
