package coordinator

import (
	"fmt"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
)

// replayed is what a replay came to.
type replayed struct {
	// records were read; broken of them could not be applied, firstBroken is why.
	records, broken int
	firstBroken     error
}

// replay applies the log's records up to end, in their order. A record that
// apply refuses is counted and skipped; what cannot be read ends the replay.
// errStopped when stopping says so. what names the records' kind in errors.
func replay(log Log, what string, end int64, stopping func() bool, apply func(*batch.Batch, batch.Record) error) (replayed, error) {
	var loaded replayed
	for at := log.LogStart(); at < end; {
		if stopping() {
			return loaded, errStopped
		}
		res, err := log.Read(at, loadBytes, storage.ReadOptions{MinOneBatch: true})
		if err != nil {
			return loaded, fmt.Errorf("read %s records at offset %d: %w", what, at, err)
		}
		if len(res.Data) == 0 {
			return loaded, fmt.Errorf("read %s records at offset %d: nothing there before the log end %d", what, at, end)
		}
		err = loaded.replay(res.Data, what, at, apply)
		at = res.NextOffset
		res.Release()
		if err != nil {
			return loaded, err
		}
	}
	return loaded, nil
}

func (l *replayed) replay(data []byte, what string, from int64, apply func(*batch.Batch, batch.Record) error) error {
	for b, err := range batch.All(data) {
		if err != nil {
			return fmt.Errorf("parse %s records from offset %d on: %w", what, from, err)
		}
		for r, err := range b.Records() {
			if err != nil {
				return fmt.Errorf("read %s records in the batch at offset %d: %w", what, b.BaseOffset, err)
			}
			if r.Offset < from {
				continue
			}
			l.records++
			if err := apply(&b, r); err != nil {
				if l.broken++; l.firstBroken == nil {
					l.firstBroken = fmt.Errorf("offset %d: %w", r.Offset, err)
				}
			}
		}
	}
	return nil
}
