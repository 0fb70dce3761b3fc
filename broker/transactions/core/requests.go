package core

// Token names a request from the moment it is stepped until its reply.
type Token uint64

// Request is one of [InitProducerID], [AddPartitions], [VerifyPartitions],
// [EndTransaction], [MarkersWritten], [Describe] and [List].
type Request interface{ request() }

// InitProducerID initializes the producer of a transactional id: it ends what
// an earlier one left and fences it (KIP-98, KIP-360).
type InitProducerID struct {
	ID        string
	TimeoutMs int32
	// ProducerID and Epoch are what the producer has and wants to go on from;
	// -1 both for a producer that begins.
	ProducerID int64
	Epoch      int16
}

// AddPartitions puts partitions into the transaction and begins it if there is none.
type AddPartitions struct {
	ID         string
	ProducerID int64
	Epoch      int16
	// Version is the client's transaction version.
	Version    int16
	Partitions []Partition
}

// VerifyPartitions asks which partitions are in the transaction (KIP-890 part 1).
type VerifyPartitions struct {
	ID         string
	ProducerID int64
	Epoch      int16
	Partitions []Partition
}

// EndTransaction decides a transaction.
type EndTransaction struct {
	ID         string
	ProducerID int64
	Epoch      int16
	Version    int16
	Commit     bool
}

// MarkersWritten says that all markers of an [Ending] are durable.
type MarkersWritten struct {
	ID         string
	ProducerID int64
	Epoch      int16
}

// Describe asks about one transactional id (KIP-664).
type Describe struct{ ID string }

// List asks for the transactional ids for which Match is true (KIP-664); nil lists all.
type List struct{ Match func(Description) bool }

func (*InitProducerID) request()   {}
func (*AddPartitions) request()    {}
func (*VerifyPartitions) request() {}
func (*EndTransaction) request()   {}
func (*MarkersWritten) request()   {}
func (*Describe) request()         {}
func (*List) request()             {}

// Description of a transactional id.
type Description struct {
	ID         string
	State      State
	TimeoutMs  int32
	StartMs    int64 // -1 without a transaction yet
	ProducerID int64
	Epoch      int16
	// Partitions of the transaction, sorted; not to be changed.
	Partitions []Partition
}

// Result answers a request.
type Result struct {
	// Code is Kafka's error code, 0 for none.
	Code int16
	// ProducerID and Epoch for the producer to use next: of InitProducerID and
	// EndTransaction; otherwise, and beside an error, -1.
	ProducerID int64
	Epoch      int16
	// Codes has the error code of each partition of a VerifyPartitions, in
	// the order of the request, unless Code says it for all.
	Codes []int16
	// Transactions is the answer to Describe (one) and List (in the order of their ids).
	Transactions []Description
}

// Failed is the result with an error code and nothing else.
func Failed(code int16) Result { return Result{Code: code, ProducerID: noProducerID, Epoch: noEpoch} }

// WithError is the result to give when the records of the answer, or those that
// it was made from, could not be stored.
func (r Result) WithError(code int16) Result {
	if r.Code != 0 {
		return r
	}
	return Failed(code)
}
