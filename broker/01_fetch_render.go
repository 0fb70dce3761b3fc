package broker

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/wire"
)

// render waits for data, reads it and writes the response. It runs on the
// connection's writer, when all earlier requests are answered.
func (t *fetchTask) render(w *wire.ResponseWriter) error {
	if t.begin(); t.err == nil {
		err := t.await(w)
		t.unregister()
		if err != nil {
			t.finish()
			return err
		}
		t.throttle(w)
	}
	t.encode(w, t.tellSession())
	w.OnWritten(t.finishFn)
	return nil
}

// throttle empties the response of a client that is beyond its quota (KIP-219).
func (t *fetchTask) throttle(w *wire.ResponseWriter) {
	total := int64(0)
	for i := range t.parts {
		total += t.parts[i].result.Size()
	}
	if t.request.ThrottleMillis() == 0 && (total == 0 || t.node.quotas.fetched(t.request, total)) {
		return
	}
	t.giveBack(w)
	t.emptied = true
}

// finish lets go of the data, which was written or will not be.
func (t *fetchTask) finish() {
	t.release()
	t.node.fetchTasks.put(t)
}

// await returns when the parts hold what is to be answered.
func (t *fetchTask) await(w *wire.ResponseWriter) error {
	if t.ready() {
		enough, err := t.read(w)
		if enough || err != nil {
			return err
		}
	}
	wait := t.maxWait - time.Since(t.request.Received)
	if wait <= 0 || t.minBytes <= 0 {
		return t.readAtLast(w)
	}
	if err := w.FlushEarlier(); err != nil {
		return err
	}
	wake := t.register()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		// Registered first, looked at second: nothing in between is missed.
		if t.ready() {
			enough, err := t.read(w)
			if enough || err != nil {
				return err
			}
		}
		asleep := time.Now()
		select {
		case <-wake:
			t.request.Waited(time.Since(asleep))
		case <-timer.C:
			t.request.Waited(time.Since(asleep))
			return t.readAtLast(w)
		case <-t.request.Conn.Draining():
			return t.readAtLast(w)
		case <-t.request.Conn.Closed():
			return net.ErrClosed
		}
	}
}

func (t *fetchTask) readAtLast(w *wire.ResponseWriter) error {
	t.minBytes = 0
	_, err := t.read(w)
	return err
}

func (t *fetchTask) register() storage.Signal {
	wake := storage.Signal(t.request.Conn.Wake())
	for i := range t.parts {
		if l := t.parts[i].log; l != nil {
			l.AddWaiter(wake)
		}
	}
	t.waiting = true
	return wake
}

func (t *fetchTask) unregister() {
	if !t.waiting {
		return
	}
	t.waiting = false
	wake := storage.Signal(t.request.Conn.Wake())
	for i := range t.parts {
		if l := t.parts[i].log; l != nil {
			l.RemoveWaiter(wake)
		}
	}
}

// ready is a cheap look whether reading makes sense: some part has data or is decided.
func (t *fetchTask) ready() bool {
	if len(t.parts) == 0 || t.minBytes <= 0 {
		return true
	}
	for i := range t.parts {
		if p := &t.parts[i]; p.decided() || p.limit(t.isolation) > p.offset {
			return true
		}
	}
	return false
}

// read fills the parts. It reports false, and keeps nothing, when that is less
// than min bytes and no part is decided.
//
// Memory is reserved for the first part with waiting, when nothing else is held, and
// for the others only if it is free: they are left empty otherwise, and the
// client asks again.
func (t *fetchTask) read(w *wire.ResponseWriter) (enough bool, err error) {
	if t.request.Conn.TimesRequests() {
		defer func(start time.Time) { t.request.Conn.Spend(time.Since(start)) }(time.Now())
	}
	total, left := int64(0), t.maxBytes
	decided := len(t.parts) == 0
	for i := range t.parts {
		p := &t.parts[i]
		if p.decided() {
			decided = true
		}
		if p.log == nil || p.divergingEnd >= 0 {
			continue
		}
		size, err := t.readPart(w, p, total == 0, left)
		if err != nil {
			t.release()
			return false, err
		}
		decided = decided || p.err != nil
		total += size
		left = max(left-size, 0)
	}
	if !decided && total < t.minBytes {
		t.giveBack(w)
		return false, nil
	}
	return true, nil
}

// readPart reads at most left bytes of one part and reserves what it has read.
func (t *fetchTask) readPart(w *wire.ResponseWriter, p *fetchPart, first bool, left int64) (int64, error) {
	want := min(p.maxBytes, left)
	if p.limit(t.isolation) <= p.offset || want < 0 {
		want = 0
	}
	o := storage.ReadOptions{Isolation: t.isolation, MinOneBatch: first}
	if want > 0 && w.SendsFiles() {
		if p.result, p.hasResult = p.log.ReadInFile(p.offset, int(want), o); p.hasResult {
			return p.result.Size(), nil
		}
	}
	switch {
	case want == 0:
	case first && !w.Reserve(want):
		return 0, net.ErrClosed
	case !first && !w.TryReserve(want):
		want = 0
	}
	p.result, p.err = p.log.Read(p.offset, int(want), o)
	p.hasResult = p.err == nil
	size := int64(len(p.result.Data))
	w.Adjust(size - want)
	return size, nil
}

// giveBack drops what was read together with its reservation.
func (t *fetchTask) giveBack(w *wire.ResponseWriter) {
	for i := range t.parts {
		w.Adjust(-int64(len(t.parts[i].result.Data)))
	}
	t.release()
}

// release drops what was read.
func (t *fetchTask) release() {
	for i := range t.parts {
		p := &t.parts[i]
		if p.hasResult {
			p.result.Release()
		}
		p.result, p.hasResult = storage.ReadResult{}, false
	}
}

func (t *fetchTask) encode(w *wire.ResponseWriter, session int32) {
	v := t.version
	flexible := v >= 12
	topics := t.topics
	if t.err != nil || t.emptied {
		topics = nil
	}
	w.Append(func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(t.request.ThrottleMillis()))
		if v >= 7 {
			code := int16(0)
			if t.err != nil {
				code = t.err.Code
				t.request.CountError(code)
			}
			b = binary.BigEndian.AppendUint16(b, uint16(code))
			b = binary.BigEndian.AppendUint32(b, uint32(session))
		}
		return wire.AppendArrayLen(b, len(topics), flexible)
	})
	var leaders []int32 // that parts have named
	next := 0
	for i := range topics {
		topic := &topics[i]
		w.Append(func(b []byte) []byte {
			if v >= 13 {
				b = append(b, topic.id[:]...)
			} else {
				b = wire.AppendString(b, topic.name, flexible)
			}
			return wire.AppendArrayLen(b, topic.parts, flexible)
		})
		for j := range t.parts[next : next+topic.parts] {
			p := &t.parts[next+j]
			t.encodePart(w, p, flexible)
			w.Append(func(b []byte) []byte {
				b, leaders = t.appendPartTags(b, topic, p, leaders, flexible)
				return b
			})
		}
		next += topic.parts
		w.Append(func(b []byte) []byte { return wire.AppendTags(b, flexible) })
	}
	w.Append(func(b []byte) []byte { return t.appendEndpoints(b, leaders, flexible) })
}

// appendAborted adds the transactions whose records a reader of committed
// ones leaves out; null for other readers. Where there is no partition to read
// there are none, for all readers.
func (t *fetchTask) appendAborted(b []byte, code int16, aborted []storage.AbortedTransaction, flexible bool) []byte {
	switch code {
	case kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code, kerr.TopicAuthorizationFailed.Code:
	default:
		if t.isolation != storage.ReadCommitted {
			return wire.AppendArrayLen(b, -1, flexible)
		}
	}
	b = wire.AppendArrayLen(b, len(aborted), flexible)
	for _, a := range aborted {
		b = binary.BigEndian.AppendUint64(b, uint64(a.ProducerID))
		b = binary.BigEndian.AppendUint64(b, uint64(a.FirstOffset))
		b = wire.AppendTags(b, flexible)
	}
	return b
}

// offsets are those that the response tells; -1 with an error.
func (p *fetchPart) offsets() (highWatermark, stable, start int64) {
	switch {
	case p.hasResult:
		return p.result.HighWatermark, p.result.LastStableOffset, p.result.LogStartOffset
	case p.divergingEnd >= 0:
		return p.log.HighWatermark(), p.log.LastStableOffset(), p.log.LogStart()
	}
	return -1, -1, -1
}

// encodePart writes a part up to its tagged fields.
func (t *fetchTask) encodePart(w *wire.ResponseWriter, p *fetchPart, flexible bool) {
	v := t.version
	highWatermark, stable, start := p.offsets()
	code := codeOf(p.err)
	t.request.CountError(code)
	w.Append(func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(p.partition))
		b = binary.BigEndian.AppendUint16(b, uint16(code))
		b = binary.BigEndian.AppendUint64(b, uint64(highWatermark))
		b = binary.BigEndian.AppendUint64(b, uint64(stable))
		if v >= 5 {
			b = binary.BigEndian.AppendUint64(b, uint64(start))
		}
		b = t.appendAborted(b, code, p.result.Aborted, flexible)
		if v >= 11 {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff) // no preferred replica
		}
		return wire.AppendArrayLen(b, int(p.result.Size()), flexible)
	})
	switch {
	case p.result.File.File != nil:
		w.AppendFile(p.result.File.File, p.result.File.At, p.result.File.Size)
	case p.hasResult:
		w.AppendData(p.result.Data)
	}
}
