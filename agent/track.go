package agent

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/files"
	"github.com/millrace/millrace/agent/registry"
)

// tracked is one generation of a file, as long as there may be something to
// do about it.
type tracked struct {
	in *input
	// entry is the registry's, as it was minted; number and id are valid while minted is true.
	entry  registry.File
	minted bool
	source *batch.Source

	// path it was last seen under, and the inode that its bytes are in.
	path string
	id   files.Identity
	file *os.File // nil: closed
	// sibling says that the path is outside the globs.
	sibling bool

	base   int64
	head   files.Head
	tail   []byte // the bytes before cursor.Pos, at most batch.TailMax
	cursor batch.Cursor
	size   int64 // largest that was seen
	links  uint64

	queued bool // in collector.ready
	parked bool // waits for its lane or for the cluster
	broken bool // the next event begins another segment
	moved  bool // the next event is the first in another partition

	grownAt time.Time // when it was last seen to grow
	foundAt time.Time
	// away says that its path leads to another inode or nowhere.
	away bool
	// copied marks a generation whose bytes are in a copy that will not grow.
	copied bool
	// orphaned is when its bytes were truncated away and no copy was found.
	orphaned time.Time
	// final says that no byte will follow.
	final bool
	// missing is when no inode of it was found any more.
	missing  time.Time
	failing  bool // an error of it was logged
	nextPoll time.Time
	// afterTruncation says that the inode had other content before.
	afterTruncation bool
	// deleted says that no name leads to it any more and it is read to its end.
	deleted bool
	// sameUntil is how many bytes are known to stand in the file that it seems to be a copy of.
	sameUntil int64
	// flushedAt is the position at which a multiline event was last ended by time.
	flushedAt int64
	// closedModNs is the time of the last change when it was closed.
	closedModNs int64
}

// errTruncated says that the file does not hold any more what was read from it.
var errTruncated = errors.New("the file was truncated or replaced")

// check looks whether the open file still has the content that was read from it: size, first bytes, and the bytes before
// the position. It returns the size.
func (t *tracked) check(scratch *[files.HeadMax]byte, needs int64) (int64, error) {
	info, err := files.StatFile(t.file)
	if err != nil {
		return 0, err
	}
	t.links = info.Links
	if info.Size < max(t.cursor.Pos, needs) {
		return info.Size, errTruncated
	}
	if n := len(t.head); n > 0 {
		got, err := t.file.ReadAt(scratch[:n], t.base)
		if got < n {
			return info.Size, truncatedUnless(err)
		}
		if string(scratch[:n]) != string(t.head) {
			return info.Size, errTruncated
		}
	}
	if n := len(t.tail); n > 0 && t.cursor.Pos > t.base+int64(len(t.head)) {
		got, err := t.file.ReadAt(scratch[:n], t.cursor.Pos-int64(n))
		if got < n {
			return info.Size, truncatedUnless(err)
		}
		if string(scratch[:n]) != string(t.tail) {
			return info.Size, errTruncated
		}
	}
	return info.Size, nil
}

// truncatedUnless takes a short read for a truncation, and keeps other errors.
func truncatedUnless(err error) error {
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return err
	}
	return errTruncated
}

// growHead reads further first bytes after the file has grown. It reports whether they have changed.
func (t *tracked) growHead(size int64) (bool, error) {
	if len(t.head) >= files.HeadMax || size-t.base <= int64(len(t.head)) {
		return false, nil
	}
	head, err := files.ReadHead(t.file, t.base, files.HeadMax)
	if err != nil {
		return false, fmt.Errorf("read the first bytes: %w", err)
	}
	if len(head) < len(t.head) || !head.Begins(t.head) {
		return false, errTruncated
	}
	grown := len(head) > len(t.head)
	t.head = head
	return grown, nil
}

// atEnd reports whether everything that was seen has been read.
func (t *tracked) atEnd() bool { return t.cursor.Pos >= t.size }

// name for logs.
func (t *tracked) name() string {
	if t.minted {
		return t.entry.ID
	}
	return ""
}

func (t *tracked) headLen() int { return max(len(t.head), int(t.entry.HeadLen)) }

// headMatches reports whether head has all the first bytes that are known of t.
func (t *tracked) headMatches(head files.Head) bool {
	if len(t.head) > 0 {
		return len(head) >= len(t.head) && head.Begins(t.head)
	}
	return head.Matches(int(t.entry.HeadLen), t.entry.HeadSum)
}

// tailMatches reports whether f has the bytes before t's position that were
// read from t.
func (t *tracked) tailMatches(f *os.File) bool {
	var b [batch.TailMax]byte
	want := t.tail
	n := len(want)
	if n == 0 {
		if n = int(t.entry.TailLen); n == 0 || n > len(b) {
			return true
		}
	}
	if got, err := f.ReadAt(b[:n], t.cursor.Pos-int64(n)); got < n {
		return err == nil
	}
	if len(want) > 0 {
		return string(want) == string(b[:n])
	}
	return batch.TailSum(b[:n]) == t.entry.TailSum
}
