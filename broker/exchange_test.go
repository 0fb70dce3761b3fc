package broker

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/test/exchange"
	"github.com/millrace/millrace/test/peers"
)

// recordedDir holds one file for each list of compared steps, a step a line.
var recordedDir = filepath.Join("testdata", "kafka-4.1.1")

// comparedStep is one request, on a connection of its own, of which a real Apache Kafka and
// this node are to make the same.
type comparedStep struct {
	name    string
	version int16
	req     kmsg.Request
	mask    []string
	// loads says that Kafka's coordinator may be loading at this step.
	loads bool
	// build makes req of what Kafka has given out, for steps that name topic ids or members.
	build func(*given) kmsg.Request
	// frame, if set, is sent as it is; the response is read as one to req.
	frame []byte
	// last says that the client ends its side of the connection after the request.
	last bool
}

// Bounds of the wait for an answer, and of the time in which a broker on a busy machine
// comes to the answer that it keeps to.
const (
	exchangeDeadline = 60 * time.Second
	knownDeadline    = 2 * time.Second // where another answer is not awaited
)

// askAgainAfter is how long a broker gets until it is asked again.
const askAgainAfter = 50 * time.Millisecond

// comparison sends steps to this node and compares its answers with Kafka's.
type comparison struct {
	n     *testNode
	ids   *idTable
	seen  *given
	known []*knownDifference
}

func newComparison(t *testing.T) *comparison {
	return &comparison{n: startNode(t, t.TempDir(), testConfig()), ids: newIDTable(), seen: newGiven(), known: readKnownDifferences(t)}
}

// compareWithKafka sends steps to a real Apache Kafka, by a proxy that keeps the bytes, and
// to this node. With -rewrite the bytes become the test's golden file.
func compareWithKafka(t *testing.T, steps []comparedStep) {
	t.Helper()
	kafka := peers.Kafka(t, peers.KafkaProperties("num.partitions=4", "log.segment.bytes=268435456", "transaction.state.log.num.partitions=16"))
	proxy := exchange.NewProxy(t, kafka.Bootstrap)
	c := newComparison(t)
	var golden []exchange.Step
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			if step.build != nil {
				step.req = step.build(c.seen)
			}
			sent := step.bytes()
			ask := func() []byte { return answerTo(t, proxy.Addr(), sent, step.last, exchangeDeadline) }
			c.compare(t, step, sent, askUntilLoaded(t, step, ask), ask)
			kept := proxy.Latest()
			proxy.Forget()
			golden = append(golden, exchange.Step{
				Name: step.name, Key: step.req.Key(), Version: step.version, Raw: step.frame != nil, Last: step.last, Loads: step.loads, Mask: step.mask,
				Errors: step.errorNames(t, kept.Responses), Request: kept.Requests, Response: kept.Responses,
			})
		})
	}
	if *rewrite {
		if err := exchange.Write(filepath.Join(recordedDir, t.Name()+".jsonl"), golden); err != nil {
			t.Fatal(err)
		}
	}
}

// bytes are what is sent, with its size.
func (s comparedStep) bytes() []byte {
	if s.frame != nil {
		return s.frame
	}
	return frameOf(s.version, 1, s.req)
}

// answerTo returns the first response to what is sent on a new connection, with its size,
// nil when the connection is closed without one.
func answerTo(t *testing.T, addr string, sent []byte, last bool, limit time.Duration) []byte {
	t.Helper()
	conn := dialRaw(t, addr)
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(sent); err == nil && last {
		_ = conn.Conn.(*net.TCPConn).CloseWrite() // the broker may have closed it already
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(conn, size); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatalf("%s neither answers nor closes the connection", addr)
		}
		return nil
	}
	frame := append(size, make([]byte, binary.BigEndian.Uint32(size))...)
	if _, err := io.ReadFull(conn, frame[4:]); err != nil {
		t.Fatalf("%s ends in the middle of a response: %v", addr, err)
	}
	return frame
}

// askUntilLoaded asks Kafka again while a coordinator loads that the step may find so.
func askUntilLoaded(t *testing.T, step comparedStep, ask func() []byte) []byte {
	want := ask()
	for until := time.Now().Add(exchangeDeadline); step.loads && coordinatorLoads(step.errorsIn(want)) && time.Now().Before(until); {
		pause(t, askAgainAfter)
		want = ask()
	}
	return want
}

// compare sends a step to this node. What Kafka has changed, or loads, is not
// everywhere at once: a question is put to it again for a while, if again is set.
func (c *comparison) compare(t *testing.T, step comparedStep, sent, want []byte, again func() []byte) {
	t.Helper()
	if step.frame == nil {
		sent = c.ids.ours(t, step, sent)
	}
	differs := func(got []byte) string { return c.difference(t, step, want, got) }
	got := answerTo(t, c.n.Addr(), sent, step.last, exchangeDeadline)
	problem := differs(got)
	for until := time.Now().Add(exchangeDeadline); problem != "" && (step.loads || again == nil) && coordinatorLoads(step.errorsIn(got)) && time.Now().Before(until); {
		pause(t, askAgainAfter)
		got = answerTo(t, c.n.Addr(), sent, step.last, exchangeDeadline)
		problem = differs(got)
	}
	limit := exchangeDeadline
	if problem != "" && c.isKnown(step.name) {
		limit = knownDeadline
	}
	for until := time.Now().Add(limit); again != nil && problem != "" && step.onlyAsks() && time.Now().Before(until); {
		pause(t, askAgainAfter)
		want = again()
		problem = differs(got)
	}
	if resp, err := step.read(want); err == nil && resp != nil {
		c.seen.note(resp)
	}
	if problem != "" && !c.isKnown(step.name) {
		t.Errorf("%s: %s v%d\n%s", step.name, kmsg.NameForKey(step.req.Key()), step.version, problem)
	}
}

// difference says how an answer of this node is not Kafka's.
func (c *comparison) difference(t *testing.T, step comparedStep, want, got []byte) string {
	t.Helper()
	theirs, err := step.read(want)
	if err != nil {
		return fmt.Sprintf("Kafka %v", err)
	}
	ours, err := step.read(got)
	if err != nil {
		return fmt.Sprintf("ours %v", err)
	}
	if theirs != nil && ours != nil {
		c.ids.learn(theirs, ours)
		c.ids.asTheirs(ours)
	}
	if a, b := step.text(t, theirs), step.text(t, ours); a != b {
		a, b = apart(a, b)
		return fmt.Sprintf("Kafka %s\nours  %s", a, b)
	}
	if theirs != nil && plainJSON(t, theirs) == plainJSON(t, step.mustRead(t, got)) && !slices.Equal(want, got) {
		return fmt.Sprintf("the fields are the same, the bytes are not\nKafka %s\nours  %s", hex.EncodeToString(want), hex.EncodeToString(got))
	}
	return ""
}

// read decodes a response with its size; that of a closed connection is nil.
func (s comparedStep) read(frame []byte) (kmsg.Response, error) {
	if len(frame) == 0 {
		return nil, nil
	}
	resp := s.req.ResponseKind()
	resp.SetVersion(s.version)
	headerBytes := 8
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		headerBytes++
	}
	if len(frame) < headerBytes {
		return nil, fmt.Errorf("unreadable: %x", frame)
	}
	if err := resp.ReadFrom(frame[headerBytes:]); err != nil {
		return nil, fmt.Errorf("unreadable: %w: %x", err, frame)
	}
	return resp, nil
}

func (s comparedStep) mustRead(t *testing.T, frame []byte) kmsg.Response {
	t.Helper()
	resp, err := s.read(frame)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// text is what is compared of a response.
func (s comparedStep) text(t *testing.T, resp kmsg.Response) string {
	t.Helper()
	if resp == nil {
		return "closed"
	}
	return jsonWithout(t, resp, s.mask)
}

// plainJSON is a response with all that it has; kmsg reads an empty array as null.
func plainJSON(t *testing.T, resp kmsg.Response) string {
	t.Helper()
	raw, err := json.Marshal(resp)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "null", "[]")
}

// errorsIn returns the error codes in a response, in its order; none are in one that
// cannot be read.
func (s comparedStep) errorsIn(frame []byte) []int16 {
	resp, err := s.read(frame)
	if err != nil || resp == nil {
		return nil
	}
	return errorCodesOf(resp)
}

func (s comparedStep) errorNames(t *testing.T, frame []byte) []string {
	t.Helper()
	var names []string
	for _, code := range s.errorsIn(frame) {
		name := fmt.Sprint(code)
		if known := kerr.TypedErrorForCode(code); known != nil {
			name = known.Message
		}
		if code != 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// coordinatorLoads says whether an answer is one of a coordinator that is not there yet.
func coordinatorLoads(codes []int16) bool {
	return slices.ContainsFunc(codes, func(code int16) bool {
		return code == kerr.CoordinatorLoadInProgress.Code || code == kerr.CoordinatorNotAvailable.Code || code == kerr.NotCoordinator.Code
	})
}

// onlyAsks says that a request changes nothing.
func (s comparedStep) onlyAsks() bool {
	name := kmsg.NameForKey(s.req.Key())
	return s.frame == nil && (strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "List") || name == "Metadata")
}

// askKafka returns Kafka's answer, asked for again for a while if it is not like another.
func askKafka(t *testing.T, bootstrap string, step comparedStep, like string) string {
	t.Helper()
	want := dialRaw(t, bootstrap).exchange(step)
	for until := time.Now().Add(exchangeDeadline); want != like && step.onlyAsks() && time.Now().Before(until); {
		pause(t, askAgainAfter)
		want = dialRaw(t, bootstrap).exchange(step)
	}
	return want
}

// exchange sends a request and returns its response as masked JSON.
func (c *rawConn) exchange(step comparedStep) string {
	c.t.Helper()
	c.send(frameOf(step.version, 1, step.req))
	return c.decode(step, c.receive())
}

// decode turns a response, from its correlation id on, into masked JSON.
func (c *rawConn) decode(step comparedStep, body []byte) string {
	c.t.Helper()
	resp, err := step.read(append(make([]byte, 4), body...))
	if err != nil {
		return err.Error()
	}
	return maskedJSON(c.t, resp, step.mask)
}
