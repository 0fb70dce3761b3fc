package storage

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the store's, over all its logs.
type metrics struct {
	registerer prometheus.Registerer

	appendedBytes, appendedBatches, duplicates  prometheus.Counter
	readBytesTail, readBytesDisk, readBytesFile prometheus.Counter
	flushSeconds, flushLogs                     prometheus.Histogram
	tailBytes, openFiles, logs, offlineLogs     prometheus.Gauge
	tornTails, corruptions, noDescriptors       prometheus.Counter
	diskFreeBytes, diskReserveBytes             prometheus.Gauge
	writesRefused                               prometheus.Gauge
	refusedAppends                              prometheus.Counter
	cleanReadBytes, cleanWrittenBytes           prometheus.Counter
	cleanRuns                                   prometheus.Counter
	cleanSeconds, cleanLast, cleanRatio         prometheus.Gauge
	uncleanableLogs, uncleanableBytes           prometheus.Gauge
	deletedSegments, deletedBytes               prometheus.Counter
	recoverySeconds, cleanStart                 prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "millrace", Subsystem: "broker_storage", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "millrace", Subsystem: "broker_storage", Name: name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "millrace", Subsystem: "broker_storage", Name: name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		registerer:       r,
		appendedBytes:    counter("appended_bytes_total", "Bytes of record batches written."),
		appendedBatches:  counter("appended_batches_total", "Record batches written."),
		duplicates:       counter("duplicate_batches_total", "Batches that an idempotent producer repeated."),
		readBytesTail:    counter("read_tail_bytes_total", "Bytes read from the tail buffers in memory."),
		readBytesDisk:    counter("read_disk_bytes_total", "Bytes read from segment files into memory."),
		readBytesFile:    counter("read_file_bytes_total", "Bytes of segment files that were handed on without reading them."),
		flushSeconds:     histogram("flush_seconds", "Time of one group commit.", prometheus.ExponentialBuckets(0.0001, 2, 16)),
		flushLogs:        histogram("flush_logs", "Logs forced to disk by one group commit.", prometheus.ExponentialBuckets(1, 2, 12)),
		tailBytes:        gauge("tail_bytes", "Memory that holds the newest batches."),
		openFiles:        gauge("open_files", "Segment files that are open."),
		diskFreeBytes:    gauge("disk_free_bytes", "Bytes that are free on the disk of the logs."),
		diskReserveBytes: gauge("disk_reserve_bytes", "Bytes of the disk that are kept free of records of clients."),
		writesRefused:    gauge("writes_refused", "1 while producers are refused because the disk is nearly full."),
		refusedAppends:   counter("refused_appends_total", "Appends refused because the disk was nearly full."),
		noDescriptors:    counter("no_descriptors_total", "Times that a segment could not be opened at first for want of descriptors."),
		logs:             gauge("logs", "Logs of this broker."),
		offlineLogs:      gauge("offline_logs", "Logs taken offline by an I/O error or corruption."),
		tornTails:        counter("torn_tails_total", "Torn tails cut by recovery."),
		corruptions:      counter("corrupt_reads_total", "Reads that met a damaged batch."),
	}
	m.cleanReadBytes = counter("cleaner_read_bytes_total", "Bytes of segments that compaction read; what is new to it counts twice.")
	m.cleanWrittenBytes = counter("cleaner_written_bytes_total", "Bytes of segments that compaction wrote.")
	m.cleanRuns = counter("cleaner_runs_total", "Logs that were compacted.")
	m.cleanSeconds = gauge("cleaner_last_run_seconds", "Time that the last compaction of a log took.")
	m.cleanLast = gauge("cleaner_last_run_timestamp_seconds", "When the last compaction of a log ended.")
	m.cleanRatio = gauge("cleaner_max_dirty_ratio", "Share of bytes that were not compacted yet of the dirtiest log.")
	m.uncleanableLogs = gauge("uncleanable_logs", "Logs that are not compacted any more because of damage in them.")
	m.uncleanableBytes = gauge("uncleanable_bytes", "Bytes of the logs that are not compacted any more.")
	m.deletedSegments = counter("deleted_segments_total", "Segments removed because of retention or because records were deleted.")
	m.deletedBytes = counter("deleted_bytes_total", "Bytes of the segments removed because of retention or because records were deleted.")
	m.recoverySeconds = gauge("recovery_seconds", "Time that opening all logs took at the start.")
	m.cleanStart = gauge("clean_start", "1 when the last stop was orderly, 0 when logs had to be checked.")
	if r != nil {
		r.MustRegister(m.all()...)
	}
	return m
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.appendedBytes, m.appendedBatches, m.duplicates, m.readBytesTail, m.readBytesDisk, m.readBytesFile,
		m.flushSeconds, m.flushLogs, m.tailBytes, m.openFiles, m.logs, m.offlineLogs, m.tornTails, m.corruptions, m.noDescriptors,
		m.diskFreeBytes, m.diskReserveBytes, m.writesRefused, m.refusedAppends,
		m.cleanReadBytes, m.cleanWrittenBytes, m.cleanRuns, m.cleanSeconds, m.cleanLast, m.cleanRatio, m.uncleanableLogs, m.uncleanableBytes,
		m.deletedSegments, m.deletedBytes, m.recoverySeconds, m.cleanStart,
	}
}

// cleaned takes note of a run of compaction, whole or not.
func (m *metrics) cleaned(r *cleanResult, took time.Duration, now time.Time) {
	m.cleanReadBytes.Add(float64(r.readBytes))
	m.cleanWrittenBytes.Add(float64(r.writtenBytes))
	m.cleanRuns.Inc()
	m.cleanSeconds.Set(took.Seconds())
	m.cleanLast.Set(float64(now.UnixMilli()) / 1000)
}

func (m *metrics) dirty(ratio float64, uncleanable, bytes int64) {
	m.cleanRatio.Set(ratio)
	m.uncleanableLogs.Set(float64(uncleanable))
	m.uncleanableBytes.Set(float64(bytes))
}

// unregister lets another store register in the same process.
func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.all() {
		m.registerer.Unregister(c)
	}
}

func (m *metrics) appended(bytes, batches int) {
	m.appendedBytes.Add(float64(bytes))
	m.appendedBatches.Add(float64(batches))
}

// readSource says where what was read came from.
type readSource int

const (
	fromTail readSource = iota
	fromDisk
	fromFile
)

func (m *metrics) read(bytes int, from readSource) {
	switch from {
	case fromTail:
		m.readBytesTail.Add(float64(bytes))
	case fromDisk:
		m.readBytesDisk.Add(float64(bytes))
	case fromFile:
		m.readBytesFile.Add(float64(bytes))
	}
}

func (m *metrics) flushRound(logs int, took time.Duration) {
	m.flushLogs.Observe(float64(logs))
	m.flushSeconds.Observe(took.Seconds())
}

// recovered takes note of how the logs were opened.
func (m *metrics) recovered(clean bool, took time.Duration) {
	m.recoverySeconds.Set(took.Seconds())
	if clean {
		m.cleanStart.Set(1)
	}
}
