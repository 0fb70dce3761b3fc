package broker

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// given is what Kafka has given out in the steps up to now, for the steps after it.
type given struct {
	topics     map[string][16]byte
	member     string // of the latest JoinGroup
	producerID int64  // of the latest InitProducerId
	epoch      int16
}

func newGiven() *given { return &given{topics: map[string][16]byte{}, producerID: -1, epoch: -1} }

func (g *given) note(resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		for _, t := range r.Topics {
			if t.TopicID != [16]byte{} {
				g.topics[t.Topic] = t.TopicID
			}
		}
	case *kmsg.JoinGroupResponse:
		if r.MemberID != "" {
			g.member = r.MemberID
		}
	case *kmsg.InitProducerIDResponse:
		if r.ErrorCode == 0 {
			g.producerID, g.epoch = r.ProducerID, r.ProducerEpoch
		}
	}
}

// idTable pairs the ids that Kafka gave out with those that this node gave out in the same
// places. It makes requests with Kafka's ids into requests for this node, and this node's
// answers into answers with Kafka's.
type idTable struct {
	topics, topicsBack       map[[16]byte][16]byte
	members, membersBack     map[string]string
	producers, producersBack map[int64]int64
}

func newIDTable() *idTable {
	return &idTable{
		topics: map[[16]byte][16]byte{}, topicsBack: map[[16]byte][16]byte{},
		members: map[string]string{}, membersBack: map[string]string{},
		producers: map[int64]int64{}, producersBack: map[int64]int64{},
	}
}

// learn pairs what stands in the same places of two responses.
func (t *idTable) learn(theirs, ours kmsg.Response) {
	t.pair("", reflect.ValueOf(theirs), reflect.ValueOf(ours))
}

func (t *idTable) pair(name string, theirs, ours reflect.Value) {
	switch theirs.Kind() {
	case reflect.Pointer:
		if !theirs.IsNil() && !ours.IsNil() {
			t.pair(name, theirs.Elem(), ours.Elem())
		}
	case reflect.Struct:
		for i := range theirs.NumField() {
			if f := theirs.Type().Field(i); f.IsExported() {
				t.pair(f.Name, theirs.Field(i), ours.Field(i))
			}
		}
	case reflect.Slice:
		for i := range min(theirs.Len(), ours.Len()) {
			t.pair(name, theirs.Index(i), ofSameTopic(theirs.Index(i), ours, i))
		}
	default:
		t.pairID(name, theirs, ours)
	}
}

// ofSameTopic is the element of a list that is about the topic that another is about, in
// its place if it is about none: topics come in any order.
func ofSameTopic(other, list reflect.Value, place int) reflect.Value {
	if topic := topicOf(other); topic != "" {
		for i := range list.Len() {
			if topicOf(list.Index(i)) == topic {
				return list.Index(i)
			}
		}
	}
	return list.Index(place)
}

// topicOf is the Topic field of a struct, empty without one.
func topicOf(v reflect.Value) string {
	if v.Kind() != reflect.Struct {
		return ""
	}
	f := v.FieldByName("Topic")
	if f.Kind() == reflect.Pointer {
		f = f.Elem()
	}
	if f.Kind() != reflect.String {
		return ""
	}
	return f.String()
}

func (t *idTable) pairID(name string, theirs, ours reflect.Value) {
	if theirs.IsZero() && name != "ProducerID" || ours.IsZero() && name != "ProducerID" {
		return
	}
	switch name {
	case "TopicID":
		learn(t.topics, t.topicsBack, theirs.Interface().([16]byte), ours.Interface().([16]byte))
	case "MemberID", "LeaderID":
		if theirs.Kind() != reflect.String {
			return // of a broker
		}
		learn(t.members, t.membersBack, theirs.String(), ours.String())
	case "ProducerID":
		if theirs.Int() >= 0 && ours.Int() >= 0 {
			learn(t.producers, t.producersBack, theirs.Int(), ours.Int())
		}
	}
}

// learn keeps the first pair of which neither part is known.
func learn[ID comparable](forth, back map[ID]ID, theirs, ours ID) {
	_, known := forth[theirs]
	_, knownBack := back[ours]
	if !known && !knownBack {
		forth[theirs], back[ours] = ours, theirs
	}
}

// ours returns a request with this node's ids for Kafka's; without any, as it is.
func (t *idTable) ours(tt *testing.T, step comparedStep, sent []byte) []byte {
	tt.Helper()
	req := kmsg.RequestForKey(step.req.Key())
	req.SetVersion(step.version)
	body := sent[4+2+2+4+2+len("raw"):]
	if req.IsFlexible() {
		body = body[1:]
	}
	if err := req.ReadFrom(body); err != nil {
		tt.Fatalf("the request is unreadable: %v", err)
	}
	if !t.replace(reflect.ValueOf(req), t.topics, t.members, t.producers) {
		return sent
	}
	return frameOf(step.version, 1, req)
}

// asTheirs puts Kafka's ids into a response of this node.
func (t *idTable) asTheirs(resp kmsg.Response) {
	t.replace(reflect.ValueOf(resp), t.topicsBack, t.membersBack, t.producersBack)
}

func (t *idTable) replace(v reflect.Value, topics map[[16]byte][16]byte, members map[string]string, producers map[int64]int64) bool {
	changed := false
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			changed = t.replace(v.Elem(), topics, members, producers)
		}
	case reflect.Slice:
		for i := range v.Len() {
			changed = t.replace(v.Index(i), topics, members, producers) || changed
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Field(i)
			switch name := v.Type().Field(i).Name; {
			case name == "TopicID" && field.Kind() == reflect.Array:
				changed = put(topics, field, field.Interface().([16]byte)) || changed
			case (name == "MemberID" || name == "LeaderID") && field.Kind() == reflect.String:
				changed = put(members, field, field.String()) || changed
			case name == "ProducerID":
				changed = put(producers, field, field.Int()) || changed
			case v.Type().Field(i).IsExported():
				changed = t.replace(field, topics, members, producers) || changed
			}
		}
	}
	return changed
}

func put[ID comparable](table map[ID]ID, field reflect.Value, id ID) bool {
	other, ok := table[id]
	if ok && other != id {
		field.Set(reflect.ValueOf(other))
	}
	return ok && other != id
}
