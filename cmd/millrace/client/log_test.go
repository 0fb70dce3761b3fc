package client_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/cmd/millrace/client"
)

func runCommand(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := &cobra.Command{Use: "millrace", SilenceErrors: true, SilenceUsage: true}
	g := &client.Globals{}
	g.Register(root.PersistentFlags())
	root.AddCommand(client.Commands(g)...)
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestLogCheckAndRepair(t *testing.T) {
	dir := t.TempDir()
	s, err := storage.Open(storage.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		l, err := s.CreateLog(storage.TopicPartition{Topic: "orders", Partition: p}, [16]byte{1}, storage.DefaultLogConfig(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 10 {
			b, err := batch.Build(batch.Options{}, []batch.Record{{Timestamp: 1, Value: fmt.Appendf(nil, "%d", n)}})
			if err == nil {
				_, err = l.Append(b, storage.AppendOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := runCommand(t, "log", "check", dir); err != nil || strings.Count(out, "orders-") != 2 {
		t.Fatalf("check of intact logs: %v\n%s", err, out)
	}
	damaged := filepath.Join(dir, "orders-1")
	name := filepath.Join(damaged, "00000000000000000000.log")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := runCommand(t, "log", "check", dir, "-o", "json")
	var checks []storage.LogCheck
	if jsonErr := json.Unmarshal([]byte(out), &checks); err == nil || jsonErr != nil || len(checks) != 2 || len(checks[0].Problems) != 0 || len(checks[1].Problems) != 1 {
		t.Fatalf("check: %v, %v\n%s", err, jsonErr, out)
	}
	if out, err = runCommand(t, "log", "check", damaged); err == nil || !strings.Contains(out, ", byte ") || !strings.Contains(out, "an intact batch follows at byte") {
		t.Errorf("check: %v\n%s", err, out)
	}
	if out, err = runCommand(t, "log", "repair", damaged); err != nil || !strings.Contains(out, "Nothing was changed: use --write.") || !strings.Contains(out, "The log ends at offset 5 then") {
		t.Errorf("repair without --write: %v\n%s", err, out)
	}
	if now, err := os.ReadFile(name); err != nil || !bytes.Equal(now, content) {
		t.Errorf("it has changed the log: %v", err)
	}
	if out, err = runCommand(t, "log", "repair", damaged, "--write"); err != nil || !strings.Contains(out, ", kept in ") {
		t.Errorf("repair: %v\n%s", err, out)
	}
	if out, err = runCommand(t, "log", "check", dir); err != nil {
		t.Errorf("check after the repair: %v\n%s", err, out)
	}
}
