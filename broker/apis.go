package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wire"
)

// apis is the table of what this node answers; ApiVersions advertises exactly it.
func (n *Node) apis() []wire.API {
	own := []wire.API{
		{Key: int16(kmsg.Produce), Min: 0, Max: 13, Large: true, Serve: n.serveProduce},
		{Key: int16(kmsg.Fetch), Min: 4, Max: 18, Serve: n.serveFetch},
		{Key: int16(kmsg.ListOffsets), Min: 1, Max: 10, Serve: serve(n.listOffsets)},
		{Key: int16(kmsg.Metadata), Min: 0, Max: 13, Serve: n.serveMetadata},
		{Key: int16(kmsg.FindCoordinator), Min: 0, Max: 6, Serve: serve(n.findCoordinator)},
		{Key: int16(kmsg.SASLHandshake), Min: 0, Max: 1, Serve: n.serveSaslHandshake},
		{Key: int16(kmsg.ApiVersions), Min: 0, Max: 4, Serve: n.serveApiVersions},
		{Key: int16(kmsg.CreateTopics), Min: 0, Max: 7, Serve: serve(n.createTopics)},
		{Key: int16(kmsg.DeleteTopics), Min: 0, Max: 6, Serve: serve(n.deleteTopics)},
		{Key: int16(kmsg.DeleteRecords), Min: 0, Max: 2, Serve: serve(n.deleteRecords)},
		{Key: int16(kmsg.OffsetForLeaderEpoch), Min: 0, Max: 4, Serve: serve(n.offsetForLeaderEpoch)},
		{Key: int16(kmsg.DescribeACLs), Min: 1, Max: 3, Serve: n.serveDescribeACLs},
		{Key: int16(kmsg.CreateACLs), Min: 1, Max: 3, Serve: n.serveCreateACLs},
		{Key: int16(kmsg.DeleteACLs), Min: 1, Max: 3, Serve: n.serveDeleteACLs},
		{Key: int16(kmsg.DescribeConfigs), Min: 0, Max: 4, Serve: serve(n.describeConfigs)},
		{Key: int16(kmsg.AlterConfigs), Min: 0, Max: 2, Serve: serve(n.alterConfigs)},
		{Key: int16(kmsg.DescribeLogDirs), Min: 0, Max: 4, Serve: serve(n.describeLogDirs)},
		{Key: int16(kmsg.SASLAuthenticate), Min: 0, Max: 2, Serve: n.serveSaslAuthenticate},
		{Key: int16(kmsg.CreatePartitions), Min: 0, Max: 3, Serve: serve(n.createPartitions)},
		{Key: int16(kmsg.IncrementalAlterConfigs), Min: 0, Max: 1, Serve: serve(n.incrementalAlterConfigs)},
		{Key: int16(kmsg.ListPartitionReassignments), Min: 0, Max: 0, Serve: serve(n.listPartitionReassignments)},
		{Key: int16(kmsg.DescribeUserSCRAMCredentials), Min: 0, Max: 0, Serve: serve(n.describeUserScramCredentials)},
		{Key: int16(kmsg.AlterUserSCRAMCredentials), Min: 0, Max: 0, Serve: serve(n.alterUserScramCredentials)},
		{Key: int16(kmsg.DescribeClientQuotas), Min: 0, Max: 1, Serve: serve(n.describeClientQuotas)},
		{Key: int16(kmsg.AlterClientQuotas), Min: 0, Max: 1, Serve: serve(n.alterClientQuotas)},
		{Key: int16(kmsg.DescribeCluster), Min: 0, Max: 2, Serve: serve(n.describeCluster)},
		{Key: int16(kmsg.DescribeProducers), Min: 0, Max: 0, Serve: serve(n.describeProducers)},
		{Key: int16(kmsg.AlterReplicaLogDirs), Min: 1, Max: 2, Serve: serve(n.alterReplicaLogDirs)},
		{Key: int16(kmsg.ElectLeaders), Min: 0, Max: 2, Serve: serve(n.electLeaders)},
		{Key: int16(kmsg.AlterPartitionAssignments), Min: 0, Max: 1, Serve: serve(n.alterPartitionReassignments)},
		{Key: int16(kmsg.DescribeQuorum), Min: 0, Max: 2, Serve: serve(n.describeQuorum)},
		{Key: int16(kmsg.UpdateFeatures), Min: 0, Max: 2, Serve: serve(n.updateFeatures)},
		{Key: int16(kmsg.UnregisterBroker), Min: 0, Max: 0, Serve: serve(n.unregisterBroker)},
		{Key: int16(kmsg.ListConfigResources), Min: 0, Max: 1, Serve: serve(n.listConfigResources)},
		{Key: int16(kmsg.AddRaftVoter), Min: 0, Max: 0, Serve: serve(n.addRaftVoter)},
		{Key: int16(kmsg.RemoveRaftVoter), Min: 0, Max: 0, Serve: serve(n.removeRaftVoter)},
		{Key: int16(kmsg.DescribeTopicPartitions), Min: 0, Max: 0, Serve: serve(n.describeTopicPartitions)},
	}
	all := slices.Concat(own, n.groupAPIs(), n.consumerGroupAPIs(), n.transactionAPIs())
	slices.SortFunc(all, func(a, b wire.API) int { return int(a.Key) - int(b.Key) })
	return all
}

// serve makes a wire handler of a function that decodes with kmsg and answers at once.
func serve[Req kmsg.Request, Resp kmsg.Response](handle func(*wire.Request, Req) Resp) func(*wire.Request) {
	return func(r *wire.Request) {
		req, err := r.Decode()
		if err != nil {
			r.Fail(err)
			return
		}
		r.Reply(handle(r, req.(Req)))
	}
}

// newResponse returns the response to a request, of the request's version.
func newResponse[Resp kmsg.Response](req kmsg.Request) Resp { return req.ResponseKind().(Resp) }
