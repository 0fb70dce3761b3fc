package registry

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/millrace/millrace/agent/batch"
)

// Options of a registry.
type Options struct {
	Logger *slog.Logger
	// FS is the host's file system when nil.
	FS Filesystem
	// Rewrite is the size of the changes at which a new journal file is begun; 0 is
	// 4 MiB. It never happens before the changes are as large as the snapshot.
	Rewrite int64
}

// Registry is the agent's durable state.
type Registry struct {
	dir     string
	fs      Filesystem
	logger  *slog.Logger
	rewrite int64

	mu      sync.Mutex
	flushed sync.Cond
	state   *state
	// buffer holds changes that are not written yet; appended and durable
	// count entries since Open. Invariant: durable <= appended.
	buffer            []byte
	appended, durable uint64
	planned           uint64 // the last plan or lane
	flushing          bool
	closed            bool

	// Owned by the goroutine that set flushing.
	file         JournalFile
	number       uint64
	size, base   int64 // bytes of the file, and of its snapshot
	distrust     bool  // the file failed: begin another
	settingsJSON map[string]uint32
}

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the registry is closed")

// Open reads the registry in dir, or begins one. The caller holds the lock of
// the data directory.
func Open(dir string, o Options) (*Registry, error) {
	r := &Registry{dir: dir, fs: o.FS, logger: o.Logger, rewrite: o.Rewrite, settingsJSON: map[string]uint32{}}
	r.flushed.L = &r.mu
	if r.fs == nil {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("create the registry: %w", err)
		}
		r.fs = OS{}
	}
	if r.rewrite == 0 {
		r.rewrite = 4 << 20
	}
	numbers, leftovers, err := journals(r.fs, dir)
	if err != nil {
		return nil, fmt.Errorf("read the registry's directory: %w", err)
	}
	for _, name := range leftovers {
		if err := r.fs.Remove(name); err != nil {
			return nil, fmt.Errorf("remove what a crash left: %w", err)
		}
	}
	if err := r.load(numbers); err != nil {
		return nil, err
	}
	for n, text := range r.state.settings {
		r.settingsJSON[text] = n
	}
	return r, nil
}

func (r *Registry) load(numbers []uint64) error {
	if len(numbers) == 0 {
		r.state = newState()
		return r.begin()
	}
	name := journalName(r.dir, numbers[0])
	data, err := r.fs.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read the registry: %w", err)
	}
	s, good, err := replay(data)
	if err != nil {
		return fmt.Errorf("read the registry %s: %w", name, err)
	}
	if good < len(data) {
		r.logger.Warn("the registry's torn tail is cut", "file", name, "offset", good, "bytes", len(data)-good)
	}
	r.state, r.number = s, numbers[0]
	// What was read may not be on disk yet, and a torn tail must never come back: begin a new file.
	if err := r.begin(); err != nil {
		return err
	}
	for _, n := range numbers {
		if err := r.removeJournal(n); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) removeJournal(n uint64) error {
	err := r.fs.Remove(journalName(r.dir, n))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an old journal: %w", err)
	}
	return nil
}

// begin writes the whole state to the next journal file and makes it the
// current one. On return it is durable.
func (r *Registry) begin() error {
	data := append([]byte(magic), version)
	r.mu.Lock()
	data = r.state.encode(data)
	r.buffer = r.buffer[:0]
	upTo := r.appended
	r.mu.Unlock()
	name := journalName(r.dir, r.number+1)
	file, err := r.writeWhole(name, data)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.distrust = true // the buffer was dropped: only a whole state will do
		return err
	}
	r.file, r.number, r.size, r.base, r.distrust = file, r.number+1, int64(len(data)), int64(len(data)), false
	r.durable = max(r.durable, upTo)
	return nil
}

func (r *Registry) writeWhole(name string, data []byte) (JournalFile, error) {
	tmp := name + tmpSuffix
	file, err := r.fs.Create(tmp)
	if err != nil {
		return nil, fmt.Errorf("create a journal: %w", err)
	}
	if _, err = file.Write(data); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = r.fs.Rename(tmp, name)
	}
	if err == nil {
		err = r.fs.SyncDir(r.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("write a journal: %w", errors.Join(err, file.Close()))
	}
	return file, nil
}

// append plays and buffers one change.
func (r *Registry) append(fill func([]byte) []byte) uint64 {
	at := len(r.buffer)
	r.buffer = appendEntry(r.buffer, fill)
	if _, err := r.state.apply(r.buffer[at+frameLen:]); err != nil {
		panic("registry: own entry cannot be read: " + err.Error())
	}
	r.appended++
	return r.appended
}

// change appends one change and returns its position for Sync.
func (r *Registry) change(fill func([]byte) []byte) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.append(fill)
}

// Sync returns when the change at position, and all before it, are durable.
// After an error nothing is lost: the next Sync writes the whole state to a
// new file.
func (r *Registry) Sync(position uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.durable < position {
		if r.closed {
			return ErrClosed
		}
		if r.flushing {
			r.flushed.Wait()
			continue
		}
		r.flushing = true
		err := r.flush()
		r.flushing = false
		r.flushed.Broadcast()
		if err != nil {
			return err
		}
	}
	return nil
}

// SyncAll makes all changes so far durable.
func (r *Registry) SyncAll() error {
	r.mu.Lock()
	position := r.appended
	r.mu.Unlock()
	return r.Sync(position)
}

// flush is called with r.mu held, which it gives up while it writes.
func (r *Registry) flush() error {
	if r.distrust || r.size-r.base+int64(len(r.buffer)) > max(r.rewrite, r.base) {
		old, oldNumber := r.file, r.number
		r.mu.Unlock()
		err := r.begin()
		if err == nil && old != nil {
			// Its content is in the new file: neither error would lose anything.
			err = errors.Join(old.Close(), r.removeJournal(oldNumber))
			if err != nil {
				r.logger.Warn("the old journal could not be removed", "error", err)
			}
			err = nil
		}
		r.mu.Lock()
		return err
	}
	out, upTo, file := r.buffer, r.appended, r.file
	r.buffer = nil
	r.mu.Unlock()
	_, err := file.Write(out)
	if err == nil {
		err = file.Sync()
	}
	r.mu.Lock()
	if err != nil {
		r.distrust = true
		return fmt.Errorf("write the registry: %w", err)
	}
	r.size += int64(len(out))
	r.durable = max(r.durable, upTo)
	if r.buffer == nil {
		r.buffer = out[:0]
	}
	return nil
}

// Close makes everything durable and closes the file.
func (r *Registry) Close() error {
	err := r.SyncAll()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return errors.Join(err, r.file.Close())
}

// Meta returns whose registry it is.
func (r *Registry) Meta() Meta {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.meta
}

// SetIdentity notes the agent's id and the machine that it runs on.
func (r *Registry) SetIdentity(agent, machine string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.state.meta
	m.Agent, m.Machine = agent, machine
	return r.append(func(b []byte) []byte { return encodeMeta(b, &m) })
}

// InputSeenMs returns when the input's files were looked at for the first
// time, in milliseconds since 1970; 0 means never.
func (r *Registry) InputSeenMs(input string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.inputs[input]
}

// SetInputSeen notes that the input's files have been looked at.
func (r *Registry) SetInputSeen(input string, nowMs int64) uint64 {
	return r.change(func(b []byte) []byte { return encodeInput(b, input, nowMs) })
}

// Intern returns the number of s, journalling s the first time.
func (r *Registry) Intern(s *batch.Settings) (uint32, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return 0, fmt.Errorf("encode settings: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.settingsJSON[string(text)]; ok {
		return n, nil
	}
	n := r.state.meta.NextSettings
	r.append(func(b []byte) []byte { return encodeSettings(b, n, string(text)) })
	r.settingsJSON[string(text)] = n
	return n, nil
}

// Settings returns the settings with number n.
func (r *Registry) Settings(n uint32) (*batch.Settings, error) {
	r.mu.Lock()
	text, ok := r.state.settings[n]
	r.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("the registry has no settings %d", n)
	}
	s := &batch.Settings{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, fmt.Errorf("decode settings %d: %w", n, err)
	}
	return s, nil
}

// Mint journals a new generation; f.Number is chosen here, and f.ID is made of
// the agent's id and it.
func (r *Registry) Mint(f File) File {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.Number = r.state.meta.NextFile
	f.ID = fmt.Sprintf("%s-%d", r.state.meta.Agent, f.Number)
	r.append(func(b []byte) []byte { return encodeFile(b, &f) })
	return f
}

// Update changes a file's entry. It reports whether there is one.
func (r *Registry) Update(number uint64, change func(*File)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.state.files[number]
	if f == nil {
		return false
	}
	next := *f
	change(&next)
	if next != *f {
		r.append(func(b []byte) []byte { return encodeFile(b, &next) })
	}
	return true
}

// Forget drops a file's entry.
func (r *Registry) Forget(number uint64) {
	r.change(func(b []byte) []byte { return binary.AppendUvarint(append(b, kindForget), number) })
}

// File returns a file's entry.
func (r *Registry) File(number uint64) (File, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.state.files[number]
	if f == nil {
		return File{}, false
	}
	return *f, true
}

// Files returns all files, in the order of their numbers.
func (r *Registry) Files() []File {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := make([]File, 0, len(r.state.files))
	for _, f := range r.state.files {
		files = append(files, *f)
	}
	slices.SortFunc(files, func(a, b File) int { return int(int64(a.Number) - int64(b.Number)) })
	return files
}

// Lane returns the state of a partition; a partition without one has producer id -1.
func (r *Registry) Lane(key LaneKey) Lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.state.lanes[key]; l != nil {
		return l.clone()
	}
	return Lane{LaneKey: key, ProducerID: -1, Epoch: -1}
}

// Lanes returns all lanes.
func (r *Registry) Lanes() []Lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lanes []Lane
	for _, l := range r.state.lanes {
		lanes = append(lanes, l.clone())
	}
	return lanes
}

// SetLane replaces the whole state of a lane: a new producer id, plans split
// or under new sequences. The ids of plans are kept; a plan with id 0 gets one.
func (r *Registry) SetLane(l Lane) (Lane, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l = l.clone()
	next := r.state.meta.NextPlan
	for i := range l.Plans {
		if l.Plans[i].ID == 0 {
			next = max(next, 1)
			l.Plans[i].ID = next
			next++
		}
	}
	r.planned = r.append(func(b []byte) []byte { return encodeLane(b, &l) })
	return l, r.planned
}

// AddPlan journals a batch before it is sent. The plan gets the lane's next sequence and an id.
func (r *Registry) AddPlan(key LaneKey, p batch.Plan) (batch.Plan, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lane := r.state.lanes[key]
	if lane == nil {
		panic("registry: a plan for a lane without a producer")
	}
	p.ID, p.FirstSequence = max(r.state.meta.NextPlan, 1), lane.NextSequence
	p.Segments = slices.Clone(p.Segments)
	position := r.append(func(b []byte) []byte { return encodePlan(encodeKey(append(b, kindPlan), key), &p) })
	r.planned = position
	return p, position
}

// Ack notes that the cluster has a plan's batch, or that it is given up as
// lost.
func (r *Registry) Ack(key LaneKey, plan uint64) {
	r.change(func(b []byte) []byte { return binary.AppendUvarint(encodeKey(append(b, kindAck), key), plan) })
}

// SyncPlans makes all plans durable that are journalled. It costs nothing
// when they are.
func (r *Registry) SyncPlans() error {
	r.mu.Lock()
	position := r.planned
	r.mu.Unlock()
	return r.Sync(position)
}

// Rewind gives up the lanes of a topic beyond its number of partitions: their
// files are read again from the first byte that is not acknowledged, into another partition. It reports whether there
// was anything to give up.
func (r *Registry) Rewind(topic string, partitions int32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := false
	for _, f := range r.state.files {
		if f.Topic == topic && f.Partition >= partitions {
			next := *f
			next.Planned, next.TailLen, next.Partition, next.Moved = f.Acked, 0, -1, true
			r.append(func(b []byte) []byte { return encodeFile(b, &next) })
			found = true
		}
	}
	for key, l := range r.state.lanes {
		if key.Topic == topic && key.Partition >= partitions && (len(l.Plans) > 0 || l.ProducerID >= 0) {
			gone := Lane{LaneKey: key, ProducerID: -1, Epoch: -1}
			r.append(func(b []byte) []byte { return encodeLane(b, &gone) })
			found = true
		}
	}
	return found
}

// Fork makes the registry of a cloned machine one of its own: all lanes lose
// their producer ids, and all files get new identities for what is read from now on. Plans
// keep the identities that their lines were given.
func (r *Registry) Fork() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.state.lanes {
		next := l.clone()
		next.ProducerID, next.Epoch, next.Cluster = -1, -1, ""
		r.append(func(b []byte) []byte { return encodeLane(b, &next) })
	}
	for _, number := range slices.Sorted(maps.Keys(r.state.files)) {
		old := *r.state.files[number]
		fork := old
		fork.Number = r.state.meta.NextFile
		fork.ID = fmt.Sprintf("%s-%d", r.state.meta.Agent, fork.Number)
		fork.Acked = fork.Planned
		r.append(func(b []byte) []byte { return encodeFile(b, &fork) })
		old.Forked = true
		r.append(func(b []byte) []byte { return encodeFile(b, &old) })
	}
}
