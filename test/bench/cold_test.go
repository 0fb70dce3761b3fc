package bench

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

// brokerCold lets a consumer that is far behind read what is no longer in memory,
// beside a producer of a fixed rate.
func brokerCold(t testing.TB, targets []target) []*table {
	const besidePerSecond = 500
	c := loadCase{recordBytes: 1024, partitions: 6, producers: 1, consumers: 1, codec: kgo.NoCompression(), bytes: 768 * mib * scale(t) / 100, passes: 1}
	tab := newTable("A consumer far behind, beside a producer", fmt.Sprintf("%d MiB are dropped from the page cache (POSIX_FADV_DONTNEED), then read, while a producer sends %d records of 1 KiB a second, acks=all, no linger.", c.bytes/mib, besidePerSecond),
		names(targets)...).wants(goal{ratioMin: 1}, "cold read, MiB/s").wants(goal{ratioMax: 0.5}, "server CPU s/GiB").wants(goal{ratioMax: 1}, "produce p99, ms")
	for round := range runs(t) {
		for _, s := range targets {
			topic := fmt.Sprintf("cold-%d", round)
			g := generator{t, s.bootstrap}
			g.createTopic(topic, c.partitions)
			g.createTopic(topic+"-beside", 1)
			g.produce(topic, c)
			dropCache(t, s.dir, topic)
			before := used(t, s.pid()).cpuSeconds
			stop := g.produceBeside(topic+"-beside", besidePerSecond)
			took := g.consume(topic, c)
			cpu := used(t, s.pid()).cpuSeconds - before
			acks := stop()
			tab.add("cold read, MiB/s", s.name, float64(c.bytes)/mib/took.Seconds())
			tab.add("server CPU s/GiB", s.name, cpu/(float64(c.bytes)/(1<<30)))
			addPercentiles(tab, "produce ", s.name, acks)
			s.settle(t, topic, topic+"-beside")
		}
	}
	relabel(tab)
	return []*table{tab}
}

// relabel gives the percentiles their unit.
func relabel(tab *table) {
	for i, row := range tab.rows {
		if strings.HasPrefix(row, "produce p") {
			tab.rows[i] = row + ", ms"
			tab.values[row+", ms"] = tab.values[row]
			delete(tab.values, row)
		}
	}
}

// produceBeside sends records at a fixed rate until stop is called, which returns how long their
// acknowledgements took, in order of size.
func (g generator) produceBeside(topic string, perSecond int) (stop func() []time.Duration) {
	client := g.client(kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0))
	ended := make(chan struct{})
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		value := logLike(1024)
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for {
			began := time.Now()
			client.Produce(g.t.Context(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
				took := time.Since(began)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, took)
				if err != nil {
					g.t.Error(err)
				}
			})
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
	})
	return func() []time.Duration {
		close(ended)
		wg.Wait()
		if err := client.Flush(g.t.Context()); err != nil {
			g.t.Error(err)
		}
		client.Close()
		slices.Sort(all)
		return all
	}
}

// dropCache forces the segments of a topic to disk and out of the page cache.
func dropCache(t testing.TB, dir, topic string) {
	t.Helper()
	dropped := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && strings.HasSuffix(path, ".log") && strings.HasPrefix(filepath.Base(filepath.Dir(path)), topic+"-") {
			dropped++
			return dropFile(path)
		}
		return nil
	})
	if err != nil || dropped == 0 {
		t.Fatalf("%d files of %s out of the page cache: %v", dropped, topic, err)
	}
}

func dropFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = unix.Fdatasync(int(f.Fd()))
	if err == nil {
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	}
	return closing(f, err)
}
