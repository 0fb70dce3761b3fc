package core

// State of a transaction, by Kafka's numbers.
type State int8

// States of a transaction.
const (
	// Empty has had no transaction since its producer was initialized.
	Empty State = iota
	// Ongoing has partitions and no decision.
	Ongoing
	// PrepareCommit is decided; its markers are being written.
	PrepareCommit
	// PrepareAbort is decided; its markers are being written.
	PrepareAbort
	// CompleteCommit has all its markers.
	CompleteCommit
	// CompleteAbort has all its markers.
	CompleteAbort
	// Dead is an id that is being removed.
	Dead
	// PrepareEpochFence is a producer that is being fenced.
	PrepareEpochFence
)

// String returns Kafka's name.
func (s State) String() string {
	names := [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}
	if s < 0 || int(s) >= len(names) {
		return "Unknown"
	}
	return names[s]
}

// States returns all states, in the order of their numbers.
func States() []State {
	return []State{Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, Dead, PrepareEpochFence}
}

// prepared says that the transaction is decided and not complete.
func (s State) prepared() bool { return s == PrepareCommit || s == PrepareAbort }

// idle says that there is no transaction: the next one may begin.
func (s State) idle() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }
