package sasl

import "time"

const (
	// TokenBytesMax is the largest token, and the largest request of a client that
	// has not authenticated (sasl.server.max.receive.size).
	TokenBytesMax = 512 << 10
	// IterationsMin and IterationsMax bound the iterations of SCRAM credentials.
	IterationsMin = 4096
	// IterationsMax is the most that a credential may have.
	IterationsMax = 16384
	// reauthenticationInterval is how soon a client may authenticate again.
	reauthenticationInterval = time.Second
	// saltBytes and nonceBytes are random.
	saltBytes  = 24
	nonceBytes = 24
	// messageBytesMax bounds a SCRAM message; honest ones have hundreds of bytes.
	messageBytesMax = 16 << 10
)
