package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// DeleteTopics: v0-6
//
// Behaviour:
// * By name, or from version 6 by id. A deletion that was answered without error
//   is durable; files that a crash leaves are removed at the next start.
// * Internal topics are not deleted: INVALID_REQUEST.
//
// KIPs:
// * KIP-4: the API
// * KIP-599: error messages (v5)
// * KIP-516: topic ids (v6)

func (n *Node) deleteTopics(_ *wire.Request, req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	resp := newResponse[*kmsg.DeleteTopicsResponse](req)
	wanted := req.Topics
	for _, name := range req.TopicNames {
		wanted = append(wanted, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	resp.Topics = make([]kmsg.DeleteTopicsResponseTopic, 0, len(wanted))
	for _, rt := range wanted {
		t := kmsg.NewDeleteTopicsResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		found, err := n.topicToDelete(rt)
		if err == nil {
			t.Topic, t.TopicID = &found.Name, found.ID
			err = n.deleteTopic(found)
		}
		if t.Topic == nil && req.Version < 6 {
			empty := ""
			t.Topic = &empty
		}
		t.ErrorCode, t.ErrorMessage = codeOf(err), messageOf(err)
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (n *Node) topicToDelete(rt kmsg.DeleteTopicsRequestTopic) (*metadata.Topic, error) {
	image, byID := n.meta.Image(), rt.TopicID != [16]byte{}
	switch {
	case byID && rt.Topic != nil:
		return nil, refuse(kerr.InvalidRequest, "You may not specify both topic name and topic id.")
	case !byID && rt.Topic == nil:
		return nil, refuse(kerr.InvalidRequest, "Neither topic name nor id were specified.")
	case byID:
		if t := image.TopicByID(rt.TopicID); t != nil {
			return t, nil
		}
		return nil, kerr.UnknownTopicID
	}
	if t := image.Topic(*rt.Topic); t != nil {
		return t, nil
	}
	return nil, kerr.UnknownTopicOrPartition
}
