package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerHeartbeat is the first heartbeat of a member that reads topic t.
func consumerHeartbeat(group, member string) *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis = group, member, 60_000
	req.SubscribedTopicNames, req.Topics = []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return req
}
