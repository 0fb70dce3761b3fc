package broker

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/millrace/millrace/test/authority"
)

// BenchmarkProduce sends batches over one connection, some in flight, as
// producers do. The client writes ready-made frames, so that allocations are the node's.
func BenchmarkProduce(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 900 << 10} {
		for _, acks := range []int16{1, -1} {
			b.Run(fmt.Sprintf("bytes=%d/acks=%d", size, acks), func(b *testing.B) {
				n := startNode(b, b.TempDir(), testConfig())
				createTopic(b, n, "t", 1, nil)
				frame := frameOf(9, 1, produceRequest("t", acks, buildBatch(b, nil, string(make([]byte, size)))))
				c := dial(b, n)
				c.SetDeadline(time.Time{})
				b.SetBytes(int64(len(frame)))
				b.ReportAllocs()
				const inFlight = 5
				response := make([]byte, 4096)
				pending := 0
				for b.Loop() {
					c.send(frame)
					if pending++; pending == inFlight {
						readResponse(b, c, response)
						pending--
					}
				}
				for range pending {
					readResponse(b, c, response)
				}
			})
		}
	}
}

// BenchmarkFetch reads what is there over one connection.
func BenchmarkFetch(b *testing.B) {
	benchmarkFetch(b, "PLAINTEXT")
}

// BenchmarkFetchTLS is BenchmarkFetch with a client that decrypts in the same process.
func BenchmarkFetchTLS(b *testing.B) {
	benchmarkFetch(b, "SSL")
}

func benchmarkFetch(b *testing.B, listener string) {
	ca := authority.New(b, "bench")
	for _, size := range []int32{64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			n := startNode(b, b.TempDir(), secureConfig(b, ca))
			createTopic(b, n, "t", 1, nil)
			c := dialListener(b, n, listener)
			c.SetDeadline(time.Time{})
			if listener == "SSL" {
				c = &rawConn{tls.Client(c, ca.Client("", "")), b}
			}
			response := make([]byte, 2<<20)
			records := buildBatch(b, nil, string(make([]byte, 16<<10)))
			for range 256 {
				c.send(frameOf(9, 1, produceRequest("t", -1, records)))
				readResponse(b, c, response)
			}
			req := fetchRequest(n, "t", 0, 0, 1)
			req.Topics[0].Partitions[0].PartitionMaxBytes = size
			frame := frameOf(12, 1, req)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				c.send(frame)
				readResponse(b, c, response)
			}
		})
	}
}

func readResponse(b *testing.B, c *rawConn, buffer []byte) {
	b.Helper()
	if _, err := io.ReadFull(c, buffer[:4]); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, buffer[:binary.BigEndian.Uint32(buffer)]); err != nil {
		b.Fatal(err)
	}
}
