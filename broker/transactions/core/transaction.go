package core

import (
	"cmp"
	"math"
	"slices"
)

// Partition is a partition of a topic.
type Partition struct {
	Topic     string
	Partition int32
}

func comparePartitions(a, b Partition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

const (
	noProducerID = -1
	noEpoch      = -1
	// epochLast is the last epoch that a client may use: one more is left to
	// fence its producer with.
	epochLast = math.MaxInt16 - 1

	// versionEpochBump is the first transaction version whose clients get a new
	// epoch with each transaction (KIP-890).
	versionEpochBump = 2

	// VersionMax is the newest transaction version.
	VersionMax = 2
)

// transaction is what is known of one transactional id. Values are not
// changed: a transition makes another.
type transaction struct {
	producerID int64
	// previousProducerID is the producer id before the last transition.
	previousProducerID int64
	// nextProducerID takes over when the transaction is complete, because
	// the epochs ran out; otherwise noProducerID.
	nextProducerID int64
	epoch          int16
	// lastEpoch is the epoch before, while a repeated request may still name
	// it; otherwise noEpoch. It is not in the log.
	lastEpoch int16
	timeoutMs int32
	state     State
	// Invariant: partitions are sorted, each once, and never changed in place.
	partitions []Partition
	// startMs is when the transaction began, -1 before the first one.
	startMs   int64
	updatedMs int64
	// version is the transaction version of the client that last changed the state.
	version int16
}

func newTransaction(producerID int64, timeoutMs int32) transaction {
	return transaction{
		producerID: producerID, previousProducerID: noProducerID, nextProducerID: noProducerID,
		epoch: noEpoch, lastEpoch: noEpoch, timeoutMs: timeoutMs, startMs: -1,
	}
}

func (t *transaction) exhausted() bool { return t.epoch >= epochLast }

func (t *transaction) has(p Partition) bool {
	_, found := slices.BinarySearchFunc(t.partitions, p, comparePartitions)
	return found
}

func (t *transaction) hasAll(partitions []Partition) bool {
	return !slices.ContainsFunc(partitions, func(p Partition) bool { return !t.has(p) })
}

// emptied is the producer initialized again under an epoch, or another id.
func (t transaction) emptied(timeoutMs int32, nowMs int64) transaction {
	t.previousProducerID = t.producerID
	t.state, t.timeoutMs, t.partitions, t.startMs, t.updatedMs = Empty, timeoutMs, nil, -1, nowMs
	return t
}

// extended has more partitions, and begins if there was no transaction.
func (t transaction) extended(more []Partition, version int16, nowMs int64) transaction {
	t.previousProducerID = t.producerID
	if t.state.idle() {
		t.startMs, t.partitions = nowMs, nil
	}
	all := append(slices.Clone(t.partitions), more...)
	slices.SortFunc(all, comparePartitions)
	t.partitions = slices.Compact(all)
	t.state, t.version, t.updatedMs = Ongoing, version, nowMs
	return t
}

// prepared is the transaction decided. Under a version that bumps, the epoch
// goes up with the decision, and with it into the markers: what the producer
// sent before and is still under way is refused after them.
func (t transaction) prepared(commit bool, version int16, nextProducerID, nowMs int64) transaction {
	if t.state != Ongoing {
		t.startMs = nowMs // an abort of nothing still has a start
	}
	t.previousProducerID, t.nextProducerID = t.producerID, nextProducerID
	if version >= versionEpochBump {
		t.lastEpoch = t.epoch
		t.epoch++
	}
	t.state, t.version, t.updatedMs = PrepareAbort, version, nowMs
	if commit {
		t.state = PrepareCommit
	}
	return t
}

// fenced is the transaction aborted by the coordinator: nobody knows the new
// epoch, so that its producer cannot go on.
func (t transaction) fenced(version int16, nowMs int64) transaction {
	t.previousProducerID, t.nextProducerID = t.producerID, noProducerID
	t.epoch, t.lastEpoch = t.epoch+1, noEpoch
	t.state, t.version, t.updatedMs = PrepareAbort, version, nowMs
	return t
}

// completed has all markers.
func (t transaction) completed(nowMs int64) transaction {
	t.previousProducerID = t.producerID
	t.producerID, t.epoch = t.successor()
	t.nextProducerID = noProducerID
	t.partitions, t.updatedMs = nil, nowMs
	if t.state == PrepareCommit {
		t.state = CompleteCommit
	} else {
		t.state = CompleteAbort
	}
	return t
}

// successor is who begins the next transaction after a decided one.
func (t *transaction) successor() (producerID int64, epoch int16) {
	if t.version >= versionEpochBump && t.nextProducerID != noProducerID {
		return t.nextProducerID, 0
	}
	return t.producerID, t.epoch
}
