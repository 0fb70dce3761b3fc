package search

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/configs"
)

// envKillNode makes the test binary a node on the directory that it names.
const envKillNode = "MILLRACE_TEST_SEARCH_NODE"

// runKillNode serves until it is killed.
func runKillNode(dir string) error {
	cfg := configs.Default().Search
	cfg.Listen, cfg.MemoryBuffer = "127.0.0.1:0", 2<<20
	n, err := New(cfg, Options{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "listening", n.Addr())
	return n.Run(context.Background())
}

// startKillNode starts a node as a process of its own.
func startKillNode(t *testing.T, dir string) (url string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envKillNode+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the node did not start: %v", err)
	}
	return "http://" + strings.TrimSpace(strings.TrimPrefix(line, "listening")), sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()         // it was killed
	})
}

// TestKilledNodeLosesAndRepeatsNothing writes with op_type create as a pipeline does, kills
// the node with SIGKILL in the middle of it, and sends again whatever was not answered.
func TestKilledNodeLosesAndRepeatsNothing(t *testing.T) {
	dir := t.TempDir()
	const total, perBulk, kills = 60000, 400, 5
	url, kill := startKillNode(t, dir)
	defer func() { kill() }()
	client := &http.Client{Timeout: 20 * time.Second}
	next, conflicts := 0, 0
	for round := 0; next < total; round++ {
		if round < kills {
			timer := time.AfterFunc(time.Duration(60+37*round)*time.Millisecond, kill)
			defer timer.Stop()
		}
		for next < total {
			to := min(next+perBulk, total)
			again, err := createBulk(client, url, next, to)
			if err != nil {
				break // killed: the same bulk is sent to the next process
			}
			conflicts += again
			next = to
		}
		if next < total {
			kill()
			url, kill = startKillNode(t, dir)
		}
	}
	kill()
	url, kill = startKillNode(t, dir)
	resp, err := client.Get(url + "/logs/_search?size=0&track_total_hits=true")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct {
		Hits struct{ Total struct{ Value int } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	if out.Hits.Total.Value != total {
		t.Errorf("%d documents, want %d", out.Hits.Total.Value, total)
	}
	t.Logf("%d documents were sent again and known", conflicts)
}

// createBulk sends documents and returns how many were there already.
func createBulk(client *http.Client, url string, from, to int) (conflicts int, err error) {
	var body strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&body, "{\"create\":{\"_index\":\"logs\",\"_id\":\"file-%d:%d\"}}\n{\"message\":\"line number %d of the file\",\"n\":%d}\n", i%3, i*100, i, i)
	}
	resp, err := client.Post(url+"/_bulk", "application/x-ndjson", strings.NewReader(body.String()))
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct {
		Items []map[string]struct{ Status int }
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return 0, err
	}
	for _, item := range out.Items {
		switch status := item["create"].Status; status {
		case http.StatusCreated:
		case http.StatusConflict:
			conflicts++
		default:
			return 0, fmt.Errorf("status %d", status)
		}
	}
	if len(out.Items) != to-from {
		return 0, fmt.Errorf("%d items", len(out.Items))
	}
	return conflicts, nil
}
