package broker

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeLogDirs: v0-4
//
// Behaviour:
// * There is one log directory. Null topics are all; topics that do not exist
//   are left out.
// * For who may describe the cluster.
// * Total and usable bytes are those of the file system, -1 if it does not tell.
//
// KIPs:
// * KIP-113: the API
// * KIP-784: error (v3)
// * KIP-827: total and usable bytes (v4)

func (n *Node) describeLogDirs(r *wire.Request, req *kmsg.DescribeLogDirsRequest) *kmsg.DescribeLogDirsResponse {
	resp := newResponse[*kmsg.DescribeLogDirsResponse](req)
	if err := n.authorizeCluster(r, acl.Describe); err != nil {
		resp.ErrorCode, resp.Dirs = codeOf(err), []kmsg.DescribeLogDirsResponseDir{}
		return resp
	}
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes = n.logDir(), -1, -1
	if abs, err := filepath.Abs(dir.Dir); err == nil {
		dir.Dir = abs
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(dir.Dir, &stat); err != nil {
		dir.ErrorCode = kerr.KafkaStorageError.Code
	} else {
		dir.TotalBytes, dir.UsableBytes = int64(stat.Blocks)*int64(stat.Bsize), int64(stat.Bavail)*int64(stat.Bsize)
	}
	dir.Topics = []kmsg.DescribeLogDirsResponseDirTopic{}
	if req.Topics == nil {
		all := n.topics.all()
		slices.SortFunc(all, func(a, b *topicState) int { return strings.Compare(a.name, b.name) })
		for _, s := range all {
			dir.Topics = append(dir.Topics, describeLogs(s, nil))
		}
	}
	for _, rt := range req.Topics {
		if s := n.topics.byName(rt.Topic); s != nil {
			dir.Topics = append(dir.Topics, describeLogs(s, rt.Partitions))
		}
	}
	resp.Dirs = []kmsg.DescribeLogDirsResponseDir{dir}
	return resp
}

// describeLogs describes the partitions of a topic, all if only is empty.
func describeLogs(s *topicState, only []int32) kmsg.DescribeLogDirsResponseDirTopic {
	topic := kmsg.NewDescribeLogDirsResponseDirTopic()
	topic.Topic = s.name
	topic.Partitions = []kmsg.DescribeLogDirsResponseDirTopicPartition{}
	for i, l := range s.logs {
		if l == nil || len(only) > 0 && !slices.Contains(only, int32(i)) {
			continue
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.Size = int32(i), l.SizeBytes()
		topic.Partitions = append(topic.Partitions, p)
	}
	return topic
}
