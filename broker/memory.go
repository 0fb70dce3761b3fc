package broker

import (
	"runtime/debug"
	"time"
)

const (
	// freeBuffersPart'th of the request memory is kept in buffers that nobody uses.
	freeBuffersPart = 4
	// trimInterval is how long a buffer is kept that no request needs, at least;
	// twice that at most.
	trimInterval = 5 * time.Second
	// returnBytesMin is how much must become free at once for the memory to be
	// given back to the system without waiting for the garbage collector, which
	// comes late when a peak is followed by silence.
	returnBytesMin = 16 << 20
)

// trimBuffers gives the memory back that a peak of requests has left, until the
// function that it returns is called.
func (n *Node) trimBuffers() (stop func()) {
	ticker := time.NewTicker(trimInterval)
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stopped:
				return
			case <-ticker.C:
				if n.buffers.Trim() >= returnBytesMin {
					debug.FreeOSMemory()
				}
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(stopped)
		<-ended
	}
}
