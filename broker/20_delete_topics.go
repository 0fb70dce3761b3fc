package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// DeleteTopics: v0-6
//
// Behaviour:
// * By name, or from version 6 by id. A deletion that was answered without error
//   is durable; files that a crash leaves are removed at the next start.
// * Internal topics are not deleted: INVALID_REQUEST.
// * For who may delete topics of the cluster, or this one. Others learn whether it
//   exists only if they may describe it.
// * A client beyond its quota of mutations is throttled, from version 5 on refused.
//
// KIPs:
// * KIP-4: the API
// * KIP-599: error messages (v5)
// * KIP-516: topic ids (v6)

// deleteTopicsStrict is the first version that is refused beyond the quota (KIP-599).
const deleteTopicsStrict = 5

func (n *Node) deleteTopics(r *wire.Request, req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	resp := newResponse[*kmsg.DeleteTopicsResponse](req)
	wanted := wantedDeletions(req)
	resp.Topics = make([]kmsg.DeleteTopicsResponseTopic, 0, len(wanted))
	anyTopic := n.mayDo(r, acl.Delete, acl.Cluster())
	twice := n.namedAndIdentified(wanted)
	for _, w := range wanted {
		rt := w.topic
		t := kmsg.NewDeleteTopicsResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		if w.times > 1 {
			t.ErrorCode, t.ErrorMessage = codeOf(w.refusal()), messageOf(w.refusal())
			resp.Topics = append(resp.Topics, t)
			continue
		}
		found, err := n.topicToDelete(rt)
		if err == nil && twice[found.ID] {
			if rt.Topic == nil {
				continue // the answer to its name says it
			}
			err = refuse(kerr.InvalidRequest, "The provided topic name maps to an ID that was already supplied.")
			t.TopicID = found.ID
		}
		if refusal := n.deletionRefusal(r, rt, found, anyTopic, &t); refusal != nil {
			err = refusal
		} else if err == nil {
			t.Topic, t.TopicID = &found.Name, found.ID
			if err = n.quotas.mutate(r, len(found.Partitions), deleteTopicsStrict); err == nil {
				err = n.deleteTopic(found)
			}
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

// wantedDeletion is a topic by name or id, and how often the request has it.
type wantedDeletion struct {
	topic kmsg.DeleteTopicsRequestTopic
	times int
}

// wantedDeletions are the topics of a request, each once.
func wantedDeletions(req *kmsg.DeleteTopicsRequest) []wantedDeletion {
	var wanted []wantedDeletion
	names, ids := map[string]int{}, map[[16]byte]int{}
	add := func(rt kmsg.DeleteTopicsRequestTopic) {
		place, again := len(wanted), false
		switch byID := rt.TopicID != [16]byte{}; {
		case byID && rt.Topic == nil:
			if place, again = ids[rt.TopicID]; !again {
				place, ids[rt.TopicID] = len(wanted), len(wanted)
			}
		case !byID && rt.Topic != nil:
			if place, again = names[*rt.Topic]; !again {
				place, names[*rt.Topic] = len(wanted), len(wanted)
			}
		}
		if !again {
			wanted = append(wanted, wantedDeletion{topic: rt})
		}
		wanted[place].times++
	}
	for _, name := range req.TopicNames {
		add(kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	for _, rt := range req.Topics {
		add(rt)
	}
	return wanted
}

// namedAndIdentified are the ids of the topics that are wanted by name and by id.
func (n *Node) namedAndIdentified(wanted []wantedDeletion) map[metadata.TopicID]bool {
	image := n.meta.Image()
	named := make(map[metadata.TopicID]bool)
	for _, w := range wanted {
		if w.topic.Topic != nil && w.topic.TopicID == [16]byte{} {
			if t := image.Topic(*w.topic.Topic); t != nil {
				named[t.ID] = false
			}
		}
	}
	for _, w := range wanted {
		if _, ok := named[w.topic.TopicID]; ok && w.topic.Topic == nil {
			named[w.topic.TopicID] = true
		}
	}
	return named
}

// refusal is why a topic that is wanted more than once is left alone.
func (w wantedDeletion) refusal() error {
	if w.topic.Topic == nil {
		return refuse(kerr.InvalidRequest, "Duplicate topic id.")
	}
	return refuse(kerr.InvalidRequest, "Duplicate topic name.")
}

// deletionRefusal returns TOPIC_AUTHORIZATION_FAILED unless the client may delete the
// topic; out shows it no more than it may know. A topic that does not exist, or
// is not named, is refused to those only who may not describe it.
func (n *Node) deletionRefusal(r *wire.Request, rt kmsg.DeleteTopicsRequestTopic, found *metadata.Topic, anyTopic bool, out *kmsg.DeleteTopicsResponseTopic) error {
	if n.authorizer == nil || anyTopic || found == nil && rt.Topic == nil {
		return nil
	}
	name := rt.Topic
	if name == nil {
		name = &found.Name
	}
	described := n.authorize(r, acl.Describe, acl.Topic(*name))
	if described && (found == nil || n.authorize(r, acl.Delete, acl.Topic(*name))) {
		return nil
	}
	if described && rt.Topic == nil {
		out.Topic = name
	}
	return kerr.TopicAuthorizationFailed
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
