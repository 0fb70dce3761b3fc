package kafkaproperties

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/configs"
)

// Result is what a file says beside the broker's configuration.
type Result struct {
	// LogDir is the one directory of log.dirs.
	LogDir string
	// Ignored are the keys without a meaning here, in order.
	Ignored []string
}

// reader collects the problems of a file while it is read.
type reader struct {
	file   *File
	broker *configs.Broker
	used   map[string]bool
	errs   configs.Errors
}

func (r *reader) fail(line int, format string, args ...any) {
	e := &configs.FieldError{File: r.file.Name, Line: line, Column: 1, Msg: fmt.Sprintf(format, args...)}
	r.errs = append(r.errs, e)
}

// get returns the value of a key and takes note that it has a meaning.
func (r *reader) get(key string) (Entry, bool) {
	e, ok := r.file.Get(key)
	if ok {
		r.used[key] = true
	}
	return e, ok
}

// value is get for those who need no line.
func (r *reader) value(key string) string {
	e, _ := r.get(key)
	return strings.TrimSpace(e.Value)
}

// Defaults are what a key means that is not in a file: Kafka's values where
// ours are others.
func Defaults() configs.Broker {
	b := configs.Default().Broker
	b.DefaultPartitions = 1
	b.SegmentSize = 1 << 30
	b.OffsetsPartitions, b.TransactionsPartitions = 50, 50
	b.GroupInitialRebalanceDelay = configs.Duration(3 * time.Second)
	return b
}

// Broker returns base with what the file sets. Errors are configs.Errors with
// the lines of the file.
func (f *File) Broker(base configs.Broker) (configs.Broker, *Result, error) {
	b := base
	r := &reader{file: f, broker: &b, used: map[string]bool{}}
	r.roles()
	r.keys()
	r.listeners()
	result := &Result{LogDir: r.logDir()}
	for _, e := range f.Entries {
		if !r.used[e.Key] && !slices.Contains(result.Ignored, e.Key) {
			result.Ignored = append(result.Ignored, e.Key)
		}
	}
	slices.Sort(result.Ignored)
	if len(r.errs) > 0 {
		slices.SortStableFunc(r.errs, func(a, b *configs.FieldError) int { return a.Line - b.Line })
		return base, nil, r.errs
	}
	return b, result, nil
}

// roles checks that the file is that of one node that is broker and controller.
func (r *reader) roles() {
	if e, ok := r.get("process.roles"); ok && !slices.Contains(splitNonEmpty(e.Value, ","), "broker") {
		r.fail(e.Line, "process.roles is %q: a node of Millrace is a broker, write broker,controller", e.Value)
	}
	if e, ok := r.get("zookeeper.connect"); ok {
		r.fail(e.Line, "zookeeper.connect: Apache Kafka 4 and Millrace work without ZooKeeper")
	}
	id, hasID := r.get("node.id")
	old, hasOld := r.get("broker.id")
	switch {
	case hasID && hasOld && strings.TrimSpace(id.Value) != strings.TrimSpace(old.Value):
		r.fail(old.Line, "broker.id is %s, but node.id in line %d is %s", old.Value, id.Line, id.Value)
	case hasOld && !hasID:
		r.set(keyNamed("node.id"), old)
	}
	r.voters()
	for _, key := range []string{"default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor", "transaction.state.log.min.isr"} {
		r.get(key) // a partition has one replica, whatever they say
	}
}

// voters refuses the configuration of a cluster of several nodes.
func (r *reader) voters() {
	r.get("controller.quorum.bootstrap.servers")
	e, ok := r.get("controller.quorum.voters")
	voters := splitNonEmpty(e.Value, ",")
	if !ok || len(voters) == 0 {
		return
	}
	if len(voters) > 1 {
		r.fail(e.Line, "controller.quorum.voters names %d nodes: this version runs as the only node of its cluster", len(voters))
		return
	}
	id, _, _ := strings.Cut(voters[0], "@")
	if own, ok := r.get("node.id"); ok && strings.TrimSpace(own.Value) != id {
		r.fail(e.Line, "controller.quorum.voters names node %s, but node.id in line %d is %s: the only node must be its own controller", id, own.Line, own.Value)
	}
}

func keyNamed(name string) Key {
	all := Keys()
	return all[slices.IndexFunc(all, func(k Key) bool { return k.Name == name })]
}

func (r *reader) set(k Key, e Entry) {
	if err := k.set(r.broker, e.Value); err != nil {
		r.fail(e.Line, "%s: %v", e.Key, err)
	}
}

// keys gives all keys of the table to the configuration; of those that say the
// same in other units the finest counts, which comes last in the table.
func (r *reader) keys() {
	for _, k := range Keys() {
		if e, ok := r.get(k.Name); ok {
			r.set(k, e)
		}
	}
	if e, ok := r.get("log.cleaner.enable"); ok && strings.EqualFold(strings.TrimSpace(e.Value), "false") {
		r.broker.Cleaner.Threads = 0
	}
	r.broker.Configs = maps.Clone(r.broker.Configs)
	for _, name := range TopicDefaults() {
		if e, ok := r.get(name); ok {
			if r.broker.Configs == nil {
				r.broker.Configs = map[string]string{}
			}
			r.broker.Configs[name] = strings.TrimSpace(e.Value)
		}
	}
	if e, ok := r.get("log.roll.jitter.hours"); ok {
		if _, finer := r.file.Get("log.roll.jitter.ms"); !finer && strings.TrimSpace(e.Value) != "0" {
			r.fail(e.Line, "log.roll.jitter.hours: write log.roll.jitter.ms")
		}
	}
	// What bounds requests must hold the largest batch and one request.
	if _, set := r.file.Get("queued.max.request.bytes"); !set {
		r.broker.RequestMemory = max(r.broker.RequestMemory, r.broker.RequestMax*2)
	}
}

// logDir returns the one log directory.
func (r *reader) logDir() string {
	e, ok := r.get("log.dirs")
	single, hasSingle := r.get("log.dir")
	if !ok && !hasSingle {
		e = Entry{Value: "/tmp/kafka-logs"} // Kafka's default
	} else if !ok {
		e = single
	}
	dirs := splitNonEmpty(e.Value, ",")
	switch {
	case len(dirs) == 0:
		r.fail(e.Line, "%s is empty", e.Key)
		return ""
	case len(dirs) > 1:
		r.fail(e.Line, "%s names %d directories: this broker keeps its partitions in one. Join the disks (LVM, RAID), or take all of them over into one directory with import-kafka", e.Key, len(dirs))
		return ""
	}
	if m, ok := r.get("metadata.log.dir"); ok && strings.TrimSpace(m.Value) != dirs[0] {
		r.fail(m.Line, "metadata.log.dir is %s: the metadata is kept in the log directory, %s", m.Value, dirs[0])
	}
	return dirs[0]
}
