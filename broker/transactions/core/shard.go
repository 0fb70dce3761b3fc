package core

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Input is one request.
type Input struct {
	NowMs   int64
	Token   Token
	Request Request
	// NewProducerID returns a producer id that was never given out before.
	NewProducerID func() (int64, error)
}

// Reply answers the request of a token.
type Reply struct {
	Token  Token
	Result Result
}

// Ending is a decided transaction whose markers are to be written.
type Ending struct {
	ID         string
	ProducerID int64
	Epoch      int16
	Commit     bool
	// Version is the transaction version under which it was decided.
	Version    int16
	Partitions []Partition
}

// Output is what a Step or a Tick asks of its caller: append Records in order,
// all or none, then call [Shard.Appended] or [Shard.AppendFailed]; send Replies
// and begin Endings when these and all earlier records are durable. After a
// refused append the Endings do not happen.
type Output struct {
	Records []Record
	Replies []Reply
	Endings []Ending
	// Events are for the history: they ask for nothing.
	Events []Event
}

// EventKind says what happened.
type EventKind uint8

const (
	// EventTimedOut says that a transaction is aborted because of its timeout.
	EventTimedOut EventKind = iota + 1
	// EventFenced says that a transaction is aborted because its producer was initialized anew.
	EventFenced
	// EventExpired says that an id was not used for so long that it is forgotten.
	EventExpired
	// EventRotated says that the epochs of a producer id ran out and ProducerID follows.
	EventRotated
)

// Event is something about a transaction that an operator may want to know.
type Event struct {
	Kind       EventKind
	ID         string
	ProducerID int64
	Epoch      int16
}

// Shard is the state of all transactional ids of one partition of __transaction_state.
type Shard struct {
	cfg          Config
	transactions map[string]*transaction
	waiters      map[string][]waiter
	// ongoing counts transactions without a decision.
	ongoing int
	// version is the transaction version of the cluster.
	version int16

	// Invariant: nowMs never goes back.
	nowMs     int64
	timeoutMs int64 // when timeouts are looked for next
	expiryMs  int64 // when ids that expired are looked for next
	out       Output
}

// New returns a shard without transactions.
func New(cfg Config) *Shard {
	return &Shard{cfg: cfg, version: VersionMax, transactions: map[string]*transaction{}, waiters: map[string][]waiter{}}
}

// SetVersion says on which transaction version the cluster has agreed (KIP-1022). It
// decides the schema of the records, and under which version the coordinator
// aborts by itself; what a client asks for has the version of its request.
func (s *Shard) SetVersion(version int16) { s.version = version }

// Step handles one request.
func (s *Shard) Step(in Input) Output {
	s.begin(in.NowMs)
	switch req := in.Request.(type) {
	case *InitProducerID:
		s.reply(in.Token, s.initProducerID(in, req))
	case *AddPartitions:
		s.addPartitions(in, req)
	case *VerifyPartitions:
		s.reply(in.Token, s.verifyPartitions(req))
	case *EndTransaction:
		s.reply(in.Token, s.endTransaction(in, req))
	case *MarkersWritten:
		s.reply(in.Token, s.markersWritten(req))
	case *Describe:
		s.reply(in.Token, s.describe(req))
	case *List:
		s.reply(in.Token, s.list(req))
	default:
		panic(fmt.Sprintf("%T is not for the transaction coordinator", in.Request))
	}
	return s.end()
}

// Appended makes visible what the records of an Output change. What waited for
// that goes on in the Output that it returns.
func (s *Shard) Appended(records []Record) Output {
	s.begin(s.nowMs)
	for _, r := range records {
		s.apply(r)
		s.release(r.id)
	}
	return s.end()
}

// Replay applies a record of the log. The slices are not kept.
func (s *Shard) Replay(key, value []byte) error {
	r, ok, err := decode(key, value)
	if ok {
		s.apply(r)
	}
	return err
}

// Loaded ends the replay: the Output has the endings of the transactions that
// were decided and perhaps have not all their markers.
func (s *Shard) Loaded(nowMs int64) Output {
	s.begin(nowMs)
	s.timeoutMs, s.expiryMs = s.nowMs+s.cfg.TimeoutIntervalMs, s.nowMs+s.cfg.ExpiryIntervalMs
	for _, id := range s.ids() {
		if t := s.transactions[id]; t.state.prepared() {
			s.out.Endings = append(s.out.Endings, endingOf(id, t))
		}
	}
	return s.end()
}

// Drop answers every request that waits with the error code and forgets all:
// the shard moves away or is loaded anew.
func (s *Shard) Drop(code int16) []Reply {
	s.begin(s.nowMs)
	for _, id := range sortedKeys(s.waiters) {
		for _, w := range s.waiters[id] {
			s.reply(w.in.Token, Failed(code))
		}
	}
	s.transactions, s.waiters, s.ongoing = map[string]*transaction{}, map[string][]waiter{}, 0
	return s.end().Replies
}

// StateCounts returns the number of transactional ids by state.
func (s *Shard) StateCounts() map[State]int {
	counts := map[State]int{}
	for _, t := range s.transactions {
		counts[t.state]++
	}
	return counts
}

func (s *Shard) apply(r Record) {
	if before := s.transactions[r.id]; before != nil && before.state == Ongoing {
		s.ongoing--
	}
	if r.after == nil {
		delete(s.transactions, r.id)
		return
	}
	s.transactions[r.id] = r.after
	if r.after.state == Ongoing {
		s.ongoing++
	}
}

func endingOf(id string, t *transaction) Ending {
	return Ending{
		ID: id, ProducerID: t.producerID, Epoch: t.epoch, Commit: t.state == PrepareCommit,
		Version: t.version, Partitions: t.partitions,
	}
}

// decide writes a decision down and asks for its markers.
func (s *Shard) decide(id string, t transaction) {
	s.write(s.recordOf(id, t))
	s.out.Endings = append(s.out.Endings, endingOf(id, &t))
}

func (s *Shard) begin(nowMs int64) {
	s.nowMs = max(s.nowMs, nowMs)
	s.out = Output{}
}

func (s *Shard) end() Output {
	out := s.out
	s.out = Output{}
	return out
}

func (s *Shard) reply(to Token, r Result) {
	s.out.Replies = append(s.out.Replies, Reply{Token: to, Result: r})
}

func (s *Shard) tell(e Event) { s.out.Events = append(s.out.Events, e) }

func (s *Shard) write(r Record) { s.out.Records = append(s.out.Records, r) }

// ids are in order, so that equal inputs give equal outputs.
func (s *Shard) ids() []string { return sortedKeys(s.transactions) }

func done() Result { return Failed(0) }

func notAvailable() Result { return Failed(kerr.CoordinatorNotAvailable.Code) }
