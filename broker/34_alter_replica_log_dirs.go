package broker

import (
	"fmt"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/wire"
)

// AlterReplicaLogDirs: v1-2
//
// Behaviour:
// * There is one log directory. A partition is in it already: no error. Any
//   other directory is LOG_DIR_NOT_FOUND.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-113: the API

func (n *Node) alterReplicaLogDirs(r *wire.Request, req *kmsg.AlterReplicaLogDirsRequest) *kmsg.AlterReplicaLogDirsResponse {
	resp := newResponse[*kmsg.AlterReplicaLogDirsResponse](req)
	resp.Topics = []kmsg.AlterReplicaLogDirsResponseTopic{}
	refused := n.authorizeCluster(r, acl.Alter)
	own, err := filepath.Abs(n.logDir())
	places := make(map[string]int)
	answered := make(map[storage.TopicPartition]bool)
	for _, rd := range req.Dirs {
		here := err == nil && filepath.IsAbs(rd.Dir) && filepath.Clean(rd.Dir) == own
		for _, rt := range rd.Topics {
			place, again := places[rt.Topic]
			if !again {
				topic := kmsg.NewAlterReplicaLogDirsResponseTopic()
				topic.Topic = rt.Topic
				topic.Partitions = make([]kmsg.AlterReplicaLogDirsResponseTopicPartition, 0, len(rt.Partitions))
				place, places[rt.Topic] = len(resp.Topics), len(resp.Topics)
				resp.Topics = append(resp.Topics, topic)
			}
			topic := &resp.Topics[place]
			for _, p := range rt.Partitions {
				tp := storage.TopicPartition{Topic: rt.Topic, Partition: p}
				if answered[tp] {
					continue
				}
				answered[tp] = true
				out := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				out.Partition, out.ErrorCode = p, codeOf(refused)
				if refused == nil {
					out.ErrorCode = codeOf(n.moveRefusal(here, rt.Topic, p))
				}
				topic.Partitions = append(topic.Partitions, out)
			}
		}
	}
	return resp
}

// What Kafka adds to a partition's directory while it is being moved, ".", an id of 32 digits
// and "-future", and how long a name it lets that make.
const (
	movedSuffixBytes = 1 + 32 + len("-future")
	fileNameBytesMax = 255
)

// moveRefusal says why a partition cannot be moved to a directory, which is the
// node's own if here is true.
func (n *Node) moveRefusal(here bool, topic string, partition int32) error {
	if len(topic)+len(fmt.Sprint("-", partition))+movedSuffixBytes > fileNameBytesMax {
		return kerr.InvalidTopicException
	}
	if !here {
		return kerr.LogDirNotFound
	}
	s := n.topics.byName(topic)
	if s == nil {
		return kerr.UnknownTopicOrPartition
	}
	log, ok := s.log(partition)
	switch {
	case !ok:
		return kerr.UnknownTopicOrPartition
	case log == nil:
		return kerr.KafkaStorageError
	}
	return nil
}
