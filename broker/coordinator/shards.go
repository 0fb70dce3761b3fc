package coordinator

import (
	"context"
	"maps"
	"slices"
	"sync"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kerr"
)

// runner is what embeds a [Shard].
type runner interface {
	run()
	stop()
	Ended() <-chan struct{}
	loaded() <-chan struct{}
}

// Shards are the partitions that this node coordinates. The zero value is ready
// for use; its methods may be called from any goroutine.
type Shards[S runner] struct {
	mu         sync.RWMutex
	partitions int32
	shards     map[int32]S
	closed     bool
}

// SetPartitions says how many partitions the topic has; before, nobody is
// found by [Shards.Of]. The number must not change.
func (s *Shards[S]) SetPartitions(count int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partitions = count
}

// Load starts the shard that make returns. A partition that is loaded is left as it is.
func (s *Shards[S]) Load(partition int32, make func() S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.shards[partition]; ok || s.closed {
		return
	}
	sh := make()
	if s.shards == nil {
		s.shards = map[int32]S{}
	}
	s.shards[partition] = sh
	go sh.run()
}

// Unload ends the shard of a partition; what waits is answered with NOT_COORDINATOR. It
// returns when the shard's goroutine has ended.
func (s *Shards[S]) Unload(partition int32) {
	s.mu.Lock()
	sh, ok := s.shards[partition]
	delete(s.shards, partition)
	s.mu.Unlock()
	if ok {
		sh.stop()
		<-sh.Ended()
	}
}

// WaitLoaded returns when every shard has been loaded once, or ctx ends.
func (s *Shards[S]) WaitLoaded(ctx context.Context) error {
	for _, sh := range s.All() {
		select {
		case <-sh.loaded():
		case <-sh.Ended():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends all shards, and returns when their goroutines have ended. What waits is
// answered with NOT_COORDINATOR; answers that wait for a flush come when
// the storage engine has flushed or closed the log.
func (s *Shards[S]) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	all := s.All()
	for _, sh := range all {
		sh.stop()
	}
	for _, sh := range all {
		<-sh.Ended()
	}
}

// All returns the shards in the order of their partitions.
func (s *Shards[S]) All() []S {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]S, 0, len(s.shards))
	for _, p := range slices.Sorted(maps.Keys(s.shards)) {
		all = append(all, s.shards[p])
	}
	return all
}

// Get returns the shard of a partition.
func (s *Shards[S]) Get(partition int32) (sh S, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh, ok = s.shards[partition]
	return sh, ok
}

// Of returns the shard that an id belongs to. Where there is none here, code is not 0.
func (s *Shards[S]) Of(id string) (sh S, code int16) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.partitions == 0 {
		return sh, kerr.CoordinatorNotAvailable.Code
	}
	sh, ok := s.shards[PartitionFor(id, s.partitions)]
	if !ok {
		return sh, kerr.NotCoordinator.Code
	}
	return sh, 0
}

// PartitionFor returns the partition that an id belongs to, as Apache Kafka
// does: the absolute value of Java's String.hashCode.
func PartitionFor(id string, partitions int32) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(id)) {
		h = 31*h + int32(unit)
	}
	if h == -1<<31 {
		h = 0
	}
	return max(h, -h) % partitions
}
