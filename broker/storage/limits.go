package storage

import "time"

// Bounds that no configuration key names.
const (
	// producerBatchesMax is how many batches per producer id are remembered;
	// clients keep at most five requests in flight.
	producerBatchesMax = 5
	// producersMax bounds the producer ids remembered per log. Beyond it the
	// ones that were silent longest are forgotten.
	producersMax = 50_000

	// abortedTxnsMax bounds the aborted transactions of one segment, which are in
	// memory while it is written: with more of them the next one is begun.
	abortedTxnsMax = 1 << 16

	// tailBytesMaxDefault bounds the tail buffers of all logs.
	tailBytesMaxDefault = 64 << 20
	// tailChunkMin and tailChunkMax bound one piece of a tail buffer; a log's
	// pieces double from one to the other.
	tailChunkMin, tailChunkMax = 16 << 10, 256 << 10
	// tailFollowedMs is how long a log's tail is kept in memory after the last
	// reader was at its end, tailFollowedStepMs how exactly that is known.
	tailFollowedMs, tailFollowedStepMs = 10_000, 1_000

	// openFilesMaxDefault bounds the descriptors of segment files.
	openFilesMaxDefault = 1024

	// The default reserve of the disk is diskReserveMax, but at most one
	// diskReservePart'th of it.
	diskReserveMax, diskReservePart = 1 << 30, 20
	// spaceCreditMax bounds what is appended before the free space is looked
	// at again, spaceInterval the time.
	spaceCreditMax = 64 << 20
	spaceInterval  = time.Second
	// sampledEntriesMax bounds the index entries in memory per closed segment, and
	// its aborted transactions.
	sampledEntriesMax = 4096

	// checkpointBytes is how much a log grows before its recovery point is
	// advanced, and so about how much is read after a crash.
	checkpointBytes = 16 << 20
	// unsavedBytesMax bounds the same over all logs: beyond it the recovery
	// points of those that have grown most are advanced until half is left.
	unsavedBytesMax = 256 << 20
	// checkpointAge is how long a log that has grown less waits.
	checkpointAge = time.Minute

	checkpointIntervalDefault = 5 * time.Second
	retentionIntervalDefault  = 5 * time.Minute

	// flushLaterMax is how long an append that nobody waits for may stay out of what is forced to
	// disk, and flushLaterBytes how much of one log may.
	flushLaterMax   = 100 * time.Millisecond
	flushLaterBytes = 8 << 20
	// flushParallelMax bounds the fdatasync calls that run at once.
	flushParallelMax = 8
	// openParallelMax bounds the logs that are recovered at once, and
	// createParallelMax those that are made: enough to let their syncs share a
	// commit of the file system's journal.
	openParallelMax, createParallelMax = 32, 32

	// settleTogetherMin is how many recovered logs are forced to disk by one
	// call for the whole file system.
	settleTogetherMin = 16

	// readBytesMax bounds one read, whatever the caller asks for; only a single
	// batch may be larger.
	readBytesMax = 8 << 20

	// spanBytesMin is the smallest run of batches that is worth sending from its file.
	spanBytesMin = 64 << 10
	// spanWindowBytes is read at once to look at headers, and spanStepsMax bounds
	// the headers that are looked at for one span, spanStepsFew those of batches that are so large
	// that about as many make the span.
	spanWindowBytes = 4 << 10
	spanStepsMax    = 1024
	spanStepsFew    = 8
	// spanCursorsMax is how many places of readers are kept with an open file.
	spanCursorsMax = 16

	// scanBytes is read at once when a segment is walked through.
	scanBytes = 64 << 10
)
