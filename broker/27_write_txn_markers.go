package broker

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// WriteTxnMarkers: v1
//
// Behaviour:
// * Other coordinators end their transactions with it, and people those that
//   hang (kafka-transactions.sh abort, millrace txn abort).
// * Each marker is answered when it is durable. A marker with an older epoch
//   than its producer has there is INVALID_PRODUCER_EPOCH, one of an older
//   coordinator TRANSACTION_COORDINATOR_FENCED.
// * Markers of __consumer_offsets are written by the group coordinator.
// * For who may alter the cluster, and for brokers (CLUSTER_ACTION).
//
// KIPs:
// * KIP-98: the API
// * KIP-664: abort of a hanging transaction

func (n *Node) writeTxnMarkers(r *wire.Request, req *kmsg.WriteTxnMarkersRequest) {
	resp := newResponse[*kmsg.WriteTxnMarkersResponse](req)
	resp.Markers = make([]kmsg.WriteTxnMarkersResponseMarker, 0, len(req.Markers))
	allowed := n.mayWriteMarkers(r)
	a := &markerAnswers{missing: 1, done: func() { r.Reply(resp) }}
	for _, m := range req.Markers {
		out := kmsg.NewWriteTxnMarkersResponseMarker()
		out.ProducerID, out.Topics = m.ProducerID, make([]kmsg.WriteTxnMarkersResponseMarkerTopic, 0, len(m.Topics))
		for _, t := range mergedTopics(m.Topics, func(t *kmsg.WriteTxnMarkersRequestMarkerTopic) (string, *[]int32) { return t.Topic, &t.Partitions }) {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = t.Topic
			topic.Partitions = make([]kmsg.WriteTxnMarkersResponseMarkerTopicPartition, len(t.Partitions))
			for i, p := range t.Partitions {
				topic.Partitions[i] = kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				topic.Partitions[i].Partition = p
				if !allowed {
					topic.Partitions[i].ErrorCode = kerr.ClusterAuthorizationFailed.Code
					continue
				}
				n.appendMarker(core.Partition{Topic: t.Topic, Partition: p}, storage.Marker{
					ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Committed,
				}, a.part(&topic.Partitions[i].ErrorCode))
			}
			out.Topics = append(out.Topics, topic)
		}
		resp.Markers = append(resp.Markers, out)
	}
	a.settle()
}

// markerAnswers waits for all markers of a request.
type markerAnswers struct {
	mu      sync.Mutex
	missing int
	done    func()
}

// part returns what takes the outcome of one marker.
func (a *markerAnswers) part(code *int16) func(error) {
	a.mu.Lock()
	a.missing++
	a.mu.Unlock()
	return func(err error) {
		a.mu.Lock()
		*code = codeOf(err)
		a.mu.Unlock()
		a.settle()
	}
}

// settle is called for each marker and once for the request; the last one answers.
func (a *markerAnswers) settle() {
	a.mu.Lock()
	a.missing--
	last := a.missing == 0
	a.mu.Unlock()
	if last {
		a.done()
	}
}
