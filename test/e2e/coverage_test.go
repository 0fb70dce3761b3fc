package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// coverage says which bytes of which file generation are in a topic, for
// finding out what a failed comparison is about.
type coverage struct {
	path          string
	lines         int
	first, last   int64
	content, gaps int64
	next          int64
}

// describe returns the generations in the topic and the files on disk.
func describe(t *testing.T, bootstrap, topic, dir string) string {
	t.Helper()
	files := map[string]*coverage{}
	eachRecord(t, bootstrap, topic, func(r *kgo.Record) {
		var id, path string
		var offset int64
		for _, h := range r.Headers {
			switch h.Key {
			case "file":
				id = string(h.Value)
			case "path":
				path = string(h.Value)
			case "offset":
				offset, _ = strconv.ParseInt(string(h.Value), 10, 64) // 0 stands for what is no number
			}
		}
		c := files[id]
		if c == nil {
			c = &coverage{path: filepath.Base(path), first: offset, next: offset}
			files[id] = c
		}
		if offset != c.next {
			c.gaps++
		}
		c.lines++
		c.last, c.next = offset, offset+int64(len(r.Value))+1
		c.content += int64(len(r.Value)) + 1
	})
	var lines []string
	for id, c := range files {
		lines = append(lines, fmt.Sprintf("topic %-14s %s: %d lines, offsets %d to %d, %d bytes, %d gaps", c.path, id, c.lines, c.first, c.last, c.content, c.gaps))
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			lines = append(lines, fmt.Sprintf("disk %-14s %d bytes", filepath.Base(path), info.Size()))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
