package broker

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/internal/vfs"
)

// A data directory of format 1 is taken over so that after a crash at any point an older version either
// finds everything as it was or refuses the directory, and this one finds everything.
func TestADirectoryOfFormat1GoesUpBeforeItsMetadata(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for stopAt := 1; ; stopAt++ {
		mem := format1Dir(t)
		changes := 0
		var crashed []*vfs.Mem
		openFormat1(t, vfs.Observe(mem, vfs.Hooks{After: func(op vfs.Op) {
			if !op.Changes() {
				return
			}
			if changes++; changes == stopAt {
				for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles} {
					crashed = append(crashed, mem.Crash(mode, random))
				}
			}
		}}))
		if len(crashed) == 0 {
			if stopAt < 18 {
				t.Errorf("only %d changes", stopAt)
			}
			return
		}
		for _, c := range crashed {
			checkOlderVersion(t, c)
			openFormat1(t, c)
		}
	}
}

// checkOlderVersion fails when an older version would open the directory and not find its metadata.
func checkOlderVersion(t *testing.T, fsys vfs.FS) {
	t.Helper()
	content, err := vfs.ReadFile(fsys, "/data/meta.properties")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), "millrace.format=1\n") {
		return
	}
	entries, err := fsys.ReadDir("/data/metadata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "metadata-") {
			t.Fatalf("%s is there, the directory has format 1", e.Name())
		}
	}
	if len(entries) != 2 {
		t.Fatalf("%d files are left, the directory has format 1", len(entries))
	}
}

func format1Dir(t *testing.T) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem(nil)
	if err := vfs.MkdirAllDurable(mem, "/data/metadata"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("metadata/testdata/format-1/*")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFile(mem, "/data/metadata/"+filepath.Base(name), content); err != nil {
			t.Fatal(err)
		}
	}
	properties := "version=1\ncluster.id=bWlsbHJhY2UtcGVlci0wMQ\nnode.id=1\ndirectory.id=bWlsbHJhY2UtcGVlci0wMg\nmillrace.format=1\n"
	if err := vfs.WriteFile(mem, "/data/meta.properties", []byte(properties)); err != nil {
		t.Fatal(err)
	}
	return mem
}

func openFormat1(t *testing.T, fsys vfs.FS) {
	t.Helper()
	known, err := readProperties(fsys, "/data")
	if err != nil {
		t.Fatal(err)
	}
	meta, err := openMetadata(metadata.Config{FS: fsys}, "/data", known)
	if err != nil {
		t.Fatal(err)
	}
	if i := meta.Image(); i.Index != 12 || i.ClusterID != known.clusterID || len(i.TopicNames()) != 2 {
		t.Fatalf("index %d, cluster %s, topics %v", i.Index, i.ClusterID, i.TopicNames())
	}
	if err := meta.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := readProperties(fsys, "/data")
	if err != nil || after.format != formatVersion || after.directoryID != known.directoryID {
		t.Fatalf("properties %+v, %v", after, err)
	}
}
