package broker

import (
	"fmt"
	"io"
	"testing"
)

// TestProduceAllocates counts what the node allocates for a produce request, from the
// socket to the log and back, when nothing is new to it: the frame, the request, the
// task and the response go round. Whoever awaits the disk costs the flusher's list of
// those to tell. The count is of the whole process and rounded down, so that what its
// background allocates now and then does not show.
func TestProduceAllocates(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	for _, c := range []struct {
		acks int16
		size int
		most float64
	}{
		{1, 1 << 10, 0},
		{1, 300 << 10, 0},
		{-1, 1 << 10, 1},
		{-1, 300 << 10, 1},
	} {
		t.Run(fmt.Sprintf("acks %d of %d bytes", c.acks, c.size), func(t *testing.T) {
			conn := dial(t, n)
			frame := frameOf(9, 1, produceRequest("t", c.acks, buildBatch(t, nil, string(make([]byte, c.size)))))
			response := make([]byte, len(producedAt(t, conn, frame)))
			exchange := func() {
				if _, err := conn.Write(frame); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(conn, response); err != nil {
					t.Fatal(err)
				}
			}
			if got := testing.AllocsPerRun(300, exchange); got > c.most+poolLosses {
				t.Errorf("%v allocations for each request, at most %v are needed", got, c.most+poolLosses)
			}
		})
	}
}

// producedAt sends a frame and returns the whole response to it.
func producedAt(t *testing.T, c *rawConn, frame []byte) []byte {
	t.Helper()
	c.send(frame)
	return append(make([]byte, 4), c.receive()...)
}
