package wire

import (
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestErrorCodesAreFoundAtEachLevel walks responses whose codes lie in different places.
func TestErrorCodesAreFoundAtEachLevel(t *testing.T) {
	for _, c := range []struct {
		resp kmsg.Response
		want []int16
	}{
		{&kmsg.HeartbeatResponse{ErrorCode: 25}, []int16{25}},
		{&kmsg.HeartbeatResponse{}, nil},
		{&kmsg.OffsetCommitResponse{Topics: []kmsg.OffsetCommitResponseTopic{
			{Partitions: []kmsg.OffsetCommitResponseTopicPartition{{ErrorCode: 22}, {}, {ErrorCode: 3}}},
		}}, []int16{22, 3}},
		{&kmsg.MetadataResponse{Topics: []kmsg.MetadataResponseTopic{
			{ErrorCode: 29}, {Partitions: []kmsg.MetadataResponseTopicPartition{{ErrorCode: 5}}},
		}}, []int16{29, 5}},
	} {
		var got []int16
		r := &Request{api: &api{errors: planErrors(c.resp)}}
		if r.api.errors == nil {
			t.Fatalf("%T has no codes", c.resp)
		}
		r.api.errors.each(reflect.ValueOf(c.resp), func(code int16) { got = append(got, code) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%T: %v, want %v", c.resp, got, c.want)
		}
	}
	if name := errorName(25); name != "UNKNOWN_MEMBER_ID" {
		t.Errorf("25 is %q", name)
	}
	if name := errorName(31000); name != "31000" {
		t.Errorf("31000 is %q", name)
	}
}

func BenchmarkCountErrorsOfMetadata(b *testing.B) {
	resp := &kmsg.MetadataResponse{Topics: []kmsg.MetadataResponseTopic{{Partitions: make([]kmsg.MetadataResponseTopicPartition, 1000)}}}
	plan := planErrors(resp)
	b.ReportAllocs()
	for b.Loop() {
		plan.each(reflect.ValueOf(resp), func(int16) { b.Fatal("there is none") })
	}
}
