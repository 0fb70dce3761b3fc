package mirror

import "time"

const (
	// batchRecordsMax and batchBytesMax bound one batch to the target. The
	// latter is below every broker's default limit; a larger record goes alone.
	batchRecordsMax = 2000
	batchBytesMax   = 512 << 10
	// recordOverhead is counted for each record beside its bytes.
	recordOverhead = 32
	// produceTimeout is how long the target may take to acknowledge.
	produceTimeout = 10 * time.Second
)
