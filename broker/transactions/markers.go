package transactions

import (
	"fmt"
	"sync"

	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions/core"
)

// delivery writes the markers of one decided transaction, again and again
// until all of them are durable.
type delivery struct {
	ending    core.Ending
	backoffMs int64
	retryAtMs int64

	mu      sync.Mutex
	missing int              // markers that are under way
	left    []core.Partition // partitions without a marker
	err     error            // why, of one of them
}

// deliver writes the markers of a transaction whose decision is durable.
func (sh *shard) deliver(e core.Ending) {
	sh.writeMarkers(&delivery{ending: e, backoffMs: markerBackoffMinMs}, e.Partitions)
}

func (sh *shard) writeMarkers(d *delivery, to []core.Partition) {
	if len(to) == 0 {
		sh.complete(d)
		return
	}
	m := storage.Marker{
		ProducerID: d.ending.ProducerID, ProducerEpoch: d.ending.Epoch, CoordinatorEpoch: sh.Log.LeaderEpoch(),
		Commit: d.ending.Commit, TransactionVersion: d.ending.Version,
	}
	d.missing, d.left, d.err = len(to), nil, nil
	life := sh.Life()
	for _, p := range to {
		sh.coordinator.options.WriteMarker(p, m, func(err error) {
			if d.tried(p, err) {
				sh.After(life, op{written: d})
			}
		})
	}
}

// tried notes what became of the marker of a partition, and returns true for the last one.
func (d *delivery) tried(p core.Partition, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.left, d.err = append(d.left, p), err
	}
	d.missing--
	return d.missing == 0
}

// markersTried completes the transaction, or sees to it that what is left is tried again.
func (sh *shard) markersTried(d *delivery) {
	if len(d.left) == 0 {
		sh.complete(d)
		return
	}
	sh.coordinator.metrics.markerErrors.Add(float64(len(d.left)))
	sh.retryLater(d)
}

// retryLater keeps a delivery for another attempt at what is left of it: its
// markers, or only the record that completes the transaction.
func (sh *shard) retryLater(d *delivery) {
	sh.Logger.Warn("transaction could not be completed yet, it will be tried again", "transactional_id", d.ending.ID,
		"producer_id", d.ending.ProducerID, "partitions", partitionNames(d.left), "backoff_ms", d.backoffMs, "error", d.err)
	d.retryAtMs = sh.nowMs() + d.backoffMs
	d.backoffMs = min(2*d.backoffMs, markerBackoffMaxMs)
	sh.retries = append(sh.retries, d)
}

// partitionNames are the first few partitions, for people.
func partitionNames(partitions []core.Partition) []string {
	names := make([]string, 0, partitionsNamedMax)
	for _, p := range partitions[:min(len(partitions), partitionsNamedMax)] {
		names = append(names, fmt.Sprintf("%s-%d", p.Topic, p.Partition))
	}
	return names
}

// retryMarkers tries the deliveries again that are due.
func (sh *shard) retryMarkers() {
	due := sh.retries
	sh.retries = nil
	for _, d := range due {
		if sh.nowMs() < d.retryAtMs {
			sh.retries = append(sh.retries, d)
			continue
		}
		sh.writeMarkers(d, d.left)
	}
}

// complete writes down that all markers are durable. Where that record is
// refused, it is tried again; where it was lost, the shard is loaded anew and
// writes the markers once more.
func (sh *shard) complete(d *delivery) {
	e, life := d.ending, sh.Life()
	sh.step(&core.MarkersWritten{ID: e.ID, ProducerID: e.ProducerID, Epoch: e.Epoch}, func(r core.Result) {
		if r.Code == 0 {
			sh.coordinator.metrics.completed.Inc()
			return
		}
		sh.After(life, op{incomplete: d, code: r.Code})
	})
}
