package wire

import "time"

const (
	// headerBytesMin is the smallest request: key, version, correlation id, null client id.
	headerBytesMin = 10
	// decodeFactor is how many bytes of decoded structure one byte of a frame
	// may justify. Honest requests need less than 12.
	decodeFactor = 16
	// decodeFloorBytes may always be decoded, whatever the size of the frame.
	decodeFloorBytes = 64 << 10
	// inFlightMax is the number of unanswered requests per connection; the
	// next one is not read before the oldest is answered.
	inFlightMax = 64
	// readBufferBytes holds headers and small frames of a connection.
	readBufferBytes = 4 << 10
	// writeBatchBytes is how much is gathered from answered requests before a write.
	writeBatchBytes = 256 << 10
	// encodersMax is how many responses may be encoded before they are reserved.
	encodersMax = 2
	// frameRateBytesMin and responseRateBytesMin are the slowest transfers
	// per second that are waited for once a frame or response has begun.
	frameRateBytesMin    = 1 << 20
	responseRateBytesMin = 256 << 10
	// transferGrace is added to the time that these rates give.
	transferGrace = 30 * time.Second
	// tlsWriteBytes is how much of encrypted records is gathered for one write.
	tlsWriteBytes = 128 << 10
	// closeNotifyTimeout is how long the alert that ends a TLS connection may take.
	closeNotifyTimeout = 100 * time.Millisecond
	// refusalDelay is between a failed authentication and its answer.
	refusalDelay = 100 * time.Millisecond
	// drainTimeout is how long an orderly stop waits for unanswered requests.
	drainTimeout = 3 * time.Second
	// clientIDBytesMax is how much of a client id is kept for logs.
	clientIDBytesMax = 256
)
