package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
)

// TestMalformedBytesAreAnsweredAsByApacheKafka sends frames that no client sends: sizes that are
// wrong, versions and APIs that there are not, requests that are cut, lengthened, tagged, or have
// one byte changed, in every API.
func TestMalformedBytesAreAnsweredAsByApacheKafka(t *testing.T) {
	onlyRecords(t)
	compareWithKafka(t, slices.Concat(coordinatorsAreLoaded(), malformedFrames(t), malformedRequests(t)))
}

// frameSized is a frame with a size that need not be that of its bytes.
func frameSized(size int32, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(size)), rest...)
}

// frameWith is a frame with a header of the first version.
func frameWith(key, version int16, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = append(b, 0, 0, 0, 1, 0, 3, 'r', 'a', 'w')
	b = append(b, body...)
	return frameSized(int32(len(b)), b...)
}

// malformedFrames are those that are wrong before a handler sees them.
func malformedFrames(t *testing.T) []comparedStep {
	metadata := frameOf(0, 1, kmsg.NewPtrMetadataRequest())
	frames := map[string][]byte{
		"of size 0":                     frameSized(0),
		"of size -1":                    frameSized(-1),
		"of the least size":             frameSized(-1 << 31),
		"of the largest size":           frameSized(1<<31 - 1),
		"larger than is allowed":        frameSized(100<<20+1, 0, 3, 0, 0),
		"of a byte":                     frameSized(1, 0),
		"without a correlation id":      frameSized(4, 0, 3, 0, 0),
		"without a client id":           frameSized(8, 0, 3, 0, 0, 0, 0, 0, 1),
		"with a client id beyond it":    frameSized(12, 0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 'a', 'b'),
		"with a negative client id":     frameSized(10, 0, 3, 0, 0, 0, 0, 0, 1, 0x80, 0),
		"in HTTP":                       []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"in TLS":                        {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3, 3},
		"of an unknown API":             frameWith(999, 0),
		"of a negative API":             frameWith(-1, 0),
		"of the old brokers' API 4":     frameWith(4, 0),
		"of the voters' API 52":         frameWith(52, 0),
		"of the brokers' API 56":        frameWith(56, 3),
		"of the brokers' API 62":        frameWith(62, 4),
		"shorter than it says":          metadata[:len(metadata)-1],
		"that ends in its size":         metadata[:2],
		"of a null client id":           frameSized(14, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0),
		"with a negative correlation":   frameSized(14, 0, 3, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
		"after one that has no answer":  append(produceUnanswered(t, "no-such", 0), metadata...),
		"after one of acks 0 and tags":  append(produceUnanswered(t, "no-such", 9), metadata...),
		"after one of ApiVersions":      append(frameOf(0, 1, kmsg.NewPtrApiVersionsRequest()), metadata...),
		"of two requests at once":       append(bytes.Clone(metadata), metadata...),
		"with a response that is first": append(frameSized(4, 0, 0, 0, 1), metadata...),
	}
	var steps []comparedStep
	for name, frame := range inOrder(frames) {
		req := kmsg.Request(kmsg.NewPtrMetadataRequest())
		mask := []string{"Topics"}
		if name == "after one of ApiVersions" {
			req, mask = kmsg.NewPtrApiVersionsRequest(), systematicMask(kmsg.ApiVersions)
		}
		// Who ends the connection after a whole request may be gone, and need not be answered.
		answered := strings.HasPrefix(name, "after") || strings.HasPrefix(name, "of two") || strings.HasPrefix(name, "of a null") || strings.HasPrefix(name, "with a negative corr")
		steps = append(steps, comparedStep{name: "a frame " + name, req: req, mask: mask, frame: frame, last: !answered})
	}
	return steps
}

// produceUnanswered is a request with acks 0.
func produceUnanswered(t *testing.T, topic string, version int16) []byte {
	return frameOf(max(version, 3), 1, produceRequest(topic, 0, soundBatch(t, batch.Options{}, "v")))
}

// malformedRequests are those of each API: versions that it has not, and requests in which
// something is missing, too much or changed.
func malformedRequests(t *testing.T) []comparedStep {
	var steps []comparedStep
	unknown := inputKinds()[slices.IndexFunc(inputKinds(), func(k inputKind) bool { return k.name == "unknown" })]
	for _, a := range startNode(t, t.TempDir(), testConfig()).advertisedAPIs {
		oldest := a.Min
		for notInKafka()[apiVersion{a.Key, oldest}] {
			oldest++
		}
		add := func(version int16, what string, frame []byte) {
			steps = append(steps, comparedStep{
				name: fmt.Sprintf("%s v%d %s", kmsg.NameForKey(a.Key), version, what), version: version,
				req: kmsg.RequestForKey(a.Key), mask: systematicMask(kmsg.Key(a.Key)), frame: frame,
			})
		}
		for _, version := range []int16{-1, a.Max + 1, 1<<15 - 1} {
			if a.Key != int16(kmsg.ApiVersions) || version < 0 {
				add(version, "that there is not", frameWith(a.Key, version, 0, 0, 0, 0, 0))
			}
		}
		for _, version := range slices.Compact([]int16{oldest, a.Max}) {
			malform(frameOf(version, 1, unknown.request(a.Key, version)), unknown.request(a.Key, version).IsFlexible(), func(what string, frame []byte) { add(version, what, frame) })
		}
	}
	return steps
}

// changedBytesMax bounds the bytes of a request that are changed one by one.
const changedBytesMax = 12

// malform makes bad frames of a good one.
func malform(frame []byte, flexible bool, add func(what string, frame []byte)) {
	const headerBytes = 4 + 2 + 2 + 4 + 2 + len("raw")
	header, body := frame[4:headerBytes], frame[headerBytes:]
	if flexible {
		body = body[1:]
	}
	whole := func(parts ...[]byte) []byte {
		all := slices.Concat(parts...)
		return frameSized(int32(len(all)), all...)
	}
	noTags := []byte{}
	if flexible {
		noTags = []byte{0}
		add("with an unknown tag in its header", whole(header, []byte{1, 99, 2, 'a', 'b'}, body))
		add("with two equal tags in its header", whole(header, []byte{2, 99, 0, 99, 0}, body))
		add("with too many tags in its header", whole(header, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, body))
		add("with a tag beyond its header", whole(header, []byte{1, 99, 0x7f}, body))
		if n := len(body); n > 0 && body[n-1] == 0 {
			add("with an unknown tag", whole(header, noTags, body[:n-1], []byte{1, 99, 2, 'a', 'b'}))
			add("with two equal tags", whole(header, noTags, body[:n-1], []byte{2, 99, 0, 99, 0}))
			add("with tags out of order", whole(header, noTags, body[:n-1], []byte{2, 99, 0, 98, 0}))
			add("with a tag beyond its end", whole(header, noTags, body[:n-1], []byte{1, 99, 9}))
		}
	}
	add("with bytes after it", whole(header, noTags, body, []byte{0, 0, 0}))
	if len(body) > 0 {
		add("without its last byte", whole(header, noTags, body[:len(body)-1]))
		add("without its second half", whole(header, noTags, body[:len(body)/2]))
		add("without a body", whole(header, noTags))
	}
	for at := range min(len(body), changedBytesMax) {
		with := byte(0xff)
		if flexible {
			with = 0 // the null of what has a length
		}
		if body[at] == with {
			continue
		}
		changed := bytes.Clone(body)
		changed[at] = with
		add(fmt.Sprintf("with byte %d as %#x", at, with), whole(header, noTags, changed))
	}
}
