package broker

import "math"

// Bit sets of the operations that a client may perform (KIP-430). Without an
// authorizer these are all that the kind of resource has, as Kafka answers.
const (
	operationsNotAsked = math.MinInt32
	topicOperations    = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	clusterOperations  = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)

func operationsIf(asked bool, operations int32) int32 {
	if asked {
		return operations
	}
	return operationsNotAsked
}
