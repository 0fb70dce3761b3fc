package alerting

import "time"

const (
	// countMax bounds the count of a rule.
	countMax = 100_000
	// latenessDefault is how long an event waits beyond its rule's window.
	latenessDefault = 5 * time.Minute
	// keyValueMax bounds one group value inside a key, in bytes.
	keyValueMax = 256
	// eventSizeMax bounds the event inside a match, in bytes; a longer one is
	// carried with its main fields only, each cut at fieldSizeMax.
	eventSizeMax = 16 << 10
	fieldSizeMax = 2 << 10
	// eventIDsShownMax bounds the event ids inside an alert.
	eventIDsShownMax = 20
	// summaryMessageMax bounds the log line inside a standard summary.
	summaryMessageMax = 300
	// renderedMax bounds what a template may write.
	renderedMax = 1 << 20

	// batchRecordsMax bounds the records that a stage takes at once.
	batchRecordsMax = 500
	// producerMessageMax bounds one request to the cluster, in bytes, below
	// the default message limit of every broker.
	producerMessageMax = 512 << 10

	// producerRetryBackoff is the wait before a request is sent again.
	producerRetryBackoff = 250 * time.Millisecond
	// readStallMax is how long reading a topic to its end may stand still.
	readStallMax = 30 * time.Second

	// matchesRetentionMin is the least time that matches are kept.
	matchesRetentionMin = 7 * 24 * time.Hour
	// outstandingMax bounds the alerts of a partition between the first that a
	// notifier has not finished and the last that it was given.
	outstandingMax = 10_000
	// responseBodyMax bounds what is read of a webhook's answer, in bytes.
	responseBodyMax = 64 << 10
	// fileTailMax bounds what a file notifier reads of its file at start.
	fileTailMax = 64 << 20
)
