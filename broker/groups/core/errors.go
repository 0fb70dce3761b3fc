package core

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrorResponse answers a request with an error code, in the places where the API has one.
func ErrorResponse(request kmsg.Request, code int16) kmsg.Response {
	switch req := request.(type) {
	case *kmsg.JoinGroupRequest:
		r := newJoinResponse(req.Version)
		r.ErrorCode, r.MemberID = code, req.MemberID
		return r
	case *kmsg.SyncGroupRequest:
		r := newSyncResponse(req.Version)
		r.ErrorCode = code
		return r
	case *kmsg.HeartbeatRequest:
		r := kmsg.NewPtrHeartbeatResponse()
		r.Version, r.ErrorCode = req.Version, code
		return r
	case *kmsg.LeaveGroupRequest:
		r := kmsg.NewPtrLeaveGroupResponse()
		r.Version, r.ErrorCode, r.Members = req.Version, code, []kmsg.LeaveGroupResponseMember{}
		return r
	case *kmsg.OffsetCommitRequest:
		return commitError(req, code)
	case *kmsg.TxnOffsetCommitRequest:
		return txnCommitError(req, code)
	case *kmsg.OffsetFetchRequest:
		return fetchError(req, code)
	case *kmsg.OffsetDeleteRequest:
		r := kmsg.NewPtrOffsetDeleteResponse()
		r.Version, r.ErrorCode, r.Topics = req.Version, code, []kmsg.OffsetDeleteResponseTopic{}
		return r
	case *kmsg.DeleteGroupsRequest:
		r := kmsg.NewPtrDeleteGroupsResponse()
		r.Version, r.Groups = req.Version, []kmsg.DeleteGroupsResponseGroup{}
		for _, id := range req.Groups {
			to := kmsg.NewDeleteGroupsResponseGroup()
			to.Group, to.ErrorCode = id, code
			r.Groups = append(r.Groups, to)
		}
		return r
	case *kmsg.DescribeGroupsRequest:
		r := kmsg.NewPtrDescribeGroupsResponse()
		r.Version, r.Groups = req.Version, []kmsg.DescribeGroupsResponseGroup{}
		for _, id := range req.Groups {
			to := kmsg.NewDescribeGroupsResponseGroup()
			to.Group, to.ErrorCode, to.Members = id, code, []kmsg.DescribeGroupsResponseGroupMember{}
			r.Groups = append(r.Groups, to)
		}
		return r
	case *kmsg.ConsumerGroupHeartbeatRequest:
		r := newConsumerResponse(req.Version)
		r.ErrorCode = code
		return r
	case *kmsg.ConsumerGroupDescribeRequest:
		r := newConsumerDescribeResponse(req.Version)
		for _, id := range req.Groups {
			to := newDescribedGroup(id)
			to.ErrorCode = code
			r.Groups = append(r.Groups, to)
		}
		return r
	case *kmsg.ListGroupsRequest:
		r := kmsg.NewPtrListGroupsResponse()
		r.Version, r.ErrorCode, r.Groups = req.Version, code, []kmsg.ListGroupsResponseGroup{}
		return r
	}
	panic(fmt.Sprintf("request of API key %d is not for the group coordinator", request.Key()))
}

func commitError(req *kmsg.OffsetCommitRequest, code int16) kmsg.Response {
	r := kmsg.NewPtrOffsetCommitResponse()
	r.Version, r.Topics = req.Version, []kmsg.OffsetCommitResponseTopic{}
	for _, t := range req.Topics {
		to := kmsg.NewOffsetCommitResponseTopic()
		to.Topic, to.Partitions = t.Topic, []kmsg.OffsetCommitResponseTopicPartition{}
		for _, p := range t.Partitions {
			to.Partitions = append(to.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
		}
		r.Topics = append(r.Topics, to)
	}
	return r
}

func fetchError(req *kmsg.OffsetFetchRequest, code int16) kmsg.Response {
	r := kmsg.NewPtrOffsetFetchResponse()
	r.Version, r.ErrorCode = req.Version, code
	r.Topics, r.Groups = []kmsg.OffsetFetchResponseTopic{}, []kmsg.OffsetFetchResponseGroup{}
	for _, g := range req.Groups {
		to := kmsg.NewOffsetFetchResponseGroup()
		to.Group, to.ErrorCode, to.Topics = g.Group, code, []kmsg.OffsetFetchResponseGroupTopic{}
		r.Groups = append(r.Groups, to)
	}
	if req.Version >= 2 {
		return r
	}
	// Before version 2 only a partition has an error code.
	for _, t := range req.Topics {
		to := kmsg.NewOffsetFetchResponseTopic()
		to.Topic, to.Partitions = t.Topic, []kmsg.OffsetFetchResponseTopicPartition{}
		for _, p := range t.Partitions {
			one := kmsg.NewOffsetFetchResponseTopicPartition()
			one.Partition, one.Offset, one.Metadata, one.ErrorCode = p, -1, new(""), code
			to.Partitions = append(to.Partitions, one)
		}
		r.Topics = append(r.Topics, to)
	}
	return r
}

// WithError makes of an answer the one to give when its records could not be
// stored. Partitions and members that were refused before keep their own code.
func WithError(response kmsg.Response, code int16) kmsg.Response {
	switch r := response.(type) {
	case *kmsg.JoinGroupResponse:
		e := newJoinResponse(r.Version)
		e.ErrorCode = code
		return e
	case *kmsg.SyncGroupResponse:
		e := newSyncResponse(r.Version)
		e.ErrorCode = code
		return e
	case *kmsg.HeartbeatResponse:
		r.ErrorCode = code
	case *kmsg.LeaveGroupResponse:
		r.ErrorCode, r.Members = code, []kmsg.LeaveGroupResponseMember{}
	case *kmsg.OffsetCommitResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if p := &r.Topics[i].Partitions[j]; p.ErrorCode == 0 {
					p.ErrorCode = commitCode(code)
				}
			}
		}
	case *kmsg.TxnOffsetCommitResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if p := &r.Topics[i].Partitions[j]; p.ErrorCode == 0 {
					p.ErrorCode = commitCode(code)
				}
			}
		}
	case *kmsg.OffsetDeleteResponse:
		r.ErrorCode, r.Topics = code, []kmsg.OffsetDeleteResponseTopic{}
	case *kmsg.DeleteGroupsResponse:
		for i := range r.Groups {
			if r.Groups[i].ErrorCode == 0 {
				r.Groups[i].ErrorCode = code
			}
		}
	case *kmsg.OffsetFetchResponse:
		for i := range r.Groups {
			r.Groups[i].ErrorCode, r.Groups[i].Topics = code, []kmsg.OffsetFetchResponseGroupTopic{}
		}
		if r.Version < multiGroupFetchVersion {
			r.ErrorCode, r.Topics = code, fetchPartitionErrors(r, code)
		}
	case *kmsg.DescribeGroupsResponse:
		for i, g := range r.Groups {
			e := kmsg.NewDescribeGroupsResponseGroup()
			e.Group, e.ErrorCode, e.Members = g.Group, code, []kmsg.DescribeGroupsResponseGroupMember{}
			r.Groups[i] = e
		}
	case *kmsg.ConsumerGroupHeartbeatResponse:
		e := newConsumerResponse(r.Version)
		e.ErrorCode = code
		return e
	case *kmsg.ConsumerGroupDescribeResponse:
		for i, g := range r.Groups {
			e := newDescribedGroup(g.Group)
			e.ErrorCode = code
			r.Groups[i] = e
		}
	case *kmsg.ListGroupsResponse:
		r.ErrorCode, r.Groups = code, []kmsg.ListGroupsResponseGroup{}
	default:
		panic(fmt.Sprintf("response of API key %d is not of the group coordinator", response.Key()))
	}
	return response
}

func fetchPartitionErrors(r *kmsg.OffsetFetchResponse, code int16) []kmsg.OffsetFetchResponseTopic {
	if r.Version >= 2 {
		return []kmsg.OffsetFetchResponseTopic{}
	}
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			p.Offset, p.Metadata, p.ErrorCode = -1, new(""), code
		}
	}
	return r.Topics
}

// commitCode is how OffsetCommit names an append that was too large.
func commitCode(code int16) int16 {
	if code == kerr.UnknownServerError.Code {
		return kerr.InvalidCommitOffsetSize.Code
	}
	return code
}
