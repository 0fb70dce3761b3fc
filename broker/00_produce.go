package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/wire"
)

// Produce: v0-13
//
// Behaviour:
// * Versions 0 to 2 carry message sets older than record batch v2: they are
//   decoded and refused with UNSUPPORTED_FOR_MESSAGE_FORMAT.
// * acks=all is answered when the records are flushed (with durability os: written),
//   acks=1 when they are written, acks=0 not at all; an error under acks=0
//   closes the connection, as in Kafka.
// * A batch that an idempotent producer repeats is answered with its first
//   offset and no error, once it is flushed.
// * min.insync.replicas beyond the number of replicas counts as that number
//   (Kafka 4), so it never refuses a write on one node.
// * For who may write to the topic (TOPIC_AUTHORIZATION_FAILED); transactional
//   batches need a transactional id that the client may write to.
// * A client beyond its quota is told to wait, and is not heard meanwhile.
// * The request's timeout concerns followers, of which there are none.
// * Written by hand: records go from the frame to the log without a copy, and
//   the frame is released before the flush is waited for.
//
// * Batches of transactions: see transactions_produce.go.
//
// KIPs:
// * KIP-98: idempotent producers and transactions (v3)
// * KIP-467: errors of single records (v8)
// * KIP-482: flexible (v9)
// * KIP-516: topic ids (v13)
// * KIP-890: TRANSACTION_ABORTABLE (v11); the broker puts partitions into
//   transactions (v12)

const produceVersionMin = 3

// produceTask is a produce request from its append to its answer. Tasks are
// used again.
type produceTask struct {
	node     *Node
	request  *wire.Request
	version  int16
	acks     int16
	topics   []produceTopic
	parts    []*producePart // in use: the first count
	count    int
	awaited  atomic.Int32 // flushes that the answer waits for, and one for the appends
	renderFn func(*wire.ResponseWriter) error
	// joining are the parts that wait for the transaction coordinator.
	joining []*producePart
}

type produceTopic struct {
	name  string
	id    metadata.TopicID
	parts int // number of parts that are of this topic
}

type producePart struct {
	task      *produceTask
	partition int32
	result    storage.AppendResult
	err       error
	log       *storage.Log // whose flush is awaited
	flushedFn func(error)
	// transactional requests only:
	state   *topicState
	records []byte
	guard   storage.VerificationGuard
	// where the transaction is to begin:
	joining  *storage.Log
	sequence int32
}

// producer tasks are pooled per node.
type produceTasks struct{ pool sync.Pool }

func (p *produceTasks) get(n *Node, r *wire.Request) *produceTask {
	t, ok := p.pool.Get().(*produceTask)
	if !ok {
		t = &produceTask{}
		t.renderFn = t.render
	}
	t.node, t.request, t.version = n, r, r.Version
	return t
}

func (p *produceTasks) put(t *produceTask) {
	for _, part := range t.parts[:t.count] {
		part.err, part.log = nil, nil
		part.state, part.records, part.joining, part.guard = nil, nil, nil, storage.VerificationGuard{}
	}
	clear(t.topics)
	clear(t.joining)
	t.joining = t.joining[:0]
	t.topics, t.count, t.request = t.topics[:0], 0, nil
	p.pool.Put(t)
}

func (t *produceTask) addPart() *producePart {
	if t.count == len(t.parts) {
		p := &producePart{task: t}
		p.flushedFn = p.flushed
		t.parts = append(t.parts, p)
	}
	t.count++
	return t.parts[t.count-1]
}

func (n *Node) serveProduce(r *wire.Request) {
	if err := r.Check(); err != nil {
		r.Fail(err)
		return
	}
	t := n.produceTasks.get(n, r)
	if err := t.append(r.Body, r.Flexible()); err != nil {
		n.produceTasks.put(t)
		r.Fail(err)
		return
	}
	n.quotas.produced(r)
	r.ReleaseBody()
	switch t.acks {
	case 0:
		t.finishUnanswered(r)
	case -1:
		t.awaitFlushes()
	default:
		r.ReplyRender(t.renderFn)
	}
}

// append reads the request and appends its batches in its order.
func (t *produceTask) append(body []byte, flexible bool) error {
	in := wire.NewReader(body, flexible)
	var transactionalID []byte // nil for none
	if t.version >= 3 {
		transactionalID = in.String()
	}
	t.acks = in.Int16()
	in.Int32() // timeout
	mayWriteTransactions := t.mayWriteTransactions(transactionalID)
	for range in.ArrayLen() {
		state := t.readTopic(&in)
		at := len(t.topics) - 1
		topicRefusal := t.topicRefusal(state, &t.topics[at])
		for range in.ArrayLen() {
			part := t.addPart()
			part.partition = in.Int32()
			records := in.Bytes()
			in.Tags()
			refused := topicRefusal
			if !mayWriteTransactions && isTransactional(records) {
				refused = kerr.TransactionalIDAuthorizationFailed
			}
			if transactionalID != nil {
				part.state, part.records, part.err = state, records, refused
			} else {
				part.result, part.err = t.appendPart(part, state, records, refused)
			}
			t.topics[at].parts++
		}
		in.Tags()
	}
	in.Tags()
	if transactionalID != nil && in.Err() == nil {
		t.appendInTransaction(string(transactionalID))
	}
	return in.Err()
}

func (t *produceTask) readTopic(in *wire.Reader) *topicState {
	var state *topicState
	var topic produceTopic
	if t.version >= 13 {
		topic.id = in.UUID()
		state = t.node.topics.byID(topic.id)
	} else {
		name := in.String()
		if state = t.node.topics.byNameBytes(name); state != nil {
			topic.name = state.name
		} else {
			topic.name = string(name)
		}
	}
	t.topics = append(t.topics, topic)
	return state
}

// mayWriteTransactions reports whether the client may write transactional batches
// with the request's transactional id, nil if it has none.
func (t *produceTask) mayWriteTransactions(id []byte) bool {
	return id != nil && (t.node.authorizer == nil || t.node.authorize(t.request, acl.Write, acl.TransactionalID(string(id))))
}

// topicRefusal returns TOPIC_AUTHORIZATION_FAILED if the client may not write to a topic.
func (t *produceTask) topicRefusal(state *topicState, topic *produceTopic) error {
	name := topic.name
	if state != nil {
		name = state.name
	}
	if t.node.authorizer == nil || name == "" && t.version >= 13 || t.node.authorize(t.request, acl.Write, acl.Topic(name)) {
		return nil
	}
	return kerr.TopicAuthorizationFailed
}

// isTransactional reports whether a batch says that it is part of a transaction.
func isTransactional(records []byte) bool {
	return len(records) >= batchHeaderBytes && binary.BigEndian.Uint16(records[batchAttributesAt:])&transactionalAttribute != 0
}

// appendPart checks what concerns the request and gives the batch to the log,
// unless the client may not write it.
func (t *produceTask) appendPart(part *producePart, state *topicState, records []byte, refused error) (storage.AppendResult, error) {
	if refused != nil {
		return failedAppend(), refused
	}
	log, err := t.logFor(part, state, records)
	if err != nil {
		return failedAppend(), err
	}
	return part.append(log, records, storage.AppendOptions{LeaderEpoch: log.LeaderEpoch(), Unawaited: t.acks != -1})
}

func failedAppend() storage.AppendResult {
	return storage.AppendResult{BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1}
}

// logFor returns the log that the batch is for, or why the request's form refuses it.
func (t *produceTask) logFor(part *producePart, state *topicState, records []byte) (*storage.Log, error) {
	if err := t.refusal(state, records); err != nil {
		return nil, err
	}
	log, ok := state.log(part.partition)
	if !ok {
		return nil, kerr.UnknownTopicOrPartition
	}
	if log == nil {
		return nil, storage.ErrOffline
	}
	return log, nil
}

func (p *producePart) append(log *storage.Log, records []byte, o storage.AppendOptions) (storage.AppendResult, error) {
	result, err := log.Append(records, o)
	if err != nil {
		failed := failedAppend()
		if refusedByContent(err) {
			failed.LogStartOffset = log.LogStart()
			p.task.node.refusals.refused(p.task.request, log.ID(), err)
		}
		return failed, err
	}
	p.log = log
	return result, nil
}

// refusedByContent says whether the log has looked at the records and did not
// want them: Kafka then tells its start offset.
func refusedByContent(err error) bool {
	for _, e := range []error{storage.ErrOutOfOrderSequence, storage.ErrInvalidProducerEpoch, storage.ErrInvalidRecord, storage.ErrInvalidTimestamp} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (t *produceTask) refusal(state *topicState, records []byte) error {
	switch {
	case state == nil && t.version >= 13:
		return kerr.UnknownTopicID
	case state == nil:
		return kerr.UnknownTopicOrPartition
	case t.acks < -1 || t.acks > 1:
		return kerr.InvalidRequiredAcks
	case state.internal:
		return refuse(kerr.InvalidTopicException, "Cannot append to internal topic "+state.name)
	}
	return checkBatches(records, t.version)
}

// Positions in a record batch v2.
const (
	batchLengthAt     = 8
	batchMagicAt      = 16
	batchAttributesAt = 21
	batchHeaderBytes  = 61
	batchBeforeLength = 12
	compressionZstd   = 4

	transactionalAttribute = 1 << 4
)

// checkBatches follows ProduceRequest.validateRecords of Kafka: exactly one
// batch of format 2. Everything about the batch itself is checked by the log.
func checkBatches(records []byte, version int16) error {
	switch {
	case len(records) == 0:
		return refuse(kerr.InvalidRecord, fmt.Sprintf("Produce requests with version %d must have at least one record batch per partition", version))
	case version < produceVersionMin:
		return refuse(kerr.UnsupportedForMessageFormat, "Only record batches of format 2 are taken")
	case len(records) < batchHeaderBytes:
		return refuse(kerr.InvalidRecord, "The records are shorter than the header of a record batch")
	case records[batchMagicAt] < 2:
		return refuse(kerr.InvalidRecord, fmt.Sprintf("Produce requests with version %d are only allowed to contain record batches with magic version 2", version))
	case version < 7 && binary.BigEndian.Uint16(records[batchAttributesAt:])&7 == compressionZstd:
		return refuse(kerr.UnsupportedCompressionType, fmt.Sprintf("Produce requests with version %d are not allowed to use ZStandard compression", version))
	}
	n := int64(int32(binary.BigEndian.Uint32(records[batchLengthAt:])))
	if n+batchBeforeLength > int64(len(records)) { // no whole batch
		return refuse(kerr.InvalidRecord, fmt.Sprintf("Produce requests with version %d must have at least one record batch per partition", version))
	}
	if n >= 0 && n+batchBeforeLength < int64(len(records)) {
		return refuse(kerr.InvalidRecord, fmt.Sprintf("Produce requests with version %d are only allowed to contain exactly one record batch per partition", version))
	}
	return nil
}

// finishUnanswered ends a request with acks=0.
func (t *produceTask) finishUnanswered(r *wire.Request) {
	var err error
	for _, part := range t.parts[:t.count] {
		err = errors.Join(err, part.err)
	}
	t.node.produceTasks.put(t)
	if err != nil {
		r.Fail(fmt.Errorf("produce with acks=0: %w", err))
		return
	}
	r.NoReply()
}

// awaitFlushes answers when the last flush is reported.
func (t *produceTask) awaitFlushes() {
	t.awaited.Store(1)
	for _, part := range t.parts[:t.count] {
		if part.log != nil {
			t.awaited.Add(1)
			part.log.OnFlushed(part.result.LastOffset, part.flushedFn)
		}
	}
	t.settle()
}

func (p *producePart) flushed(err error) {
	if err != nil {
		p.err = err
		p.result = storage.AppendResult{BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1}
	}
	p.task.settle()
}

// settle is called for each flush and once for the appends; the last one answers.
func (t *produceTask) settle() {
	if t.awaited.Add(-1) == 0 {
		t.request.ReplyRender(t.renderFn)
	}
}

// render writes the response on the connection's writer.
func (t *produceTask) render(w *wire.ResponseWriter) error {
	w.Append(t.encode)
	t.node.produceTasks.put(t)
	return nil
}

func (t *produceTask) encode(b []byte) []byte {
	v := t.version
	flexible := v >= 9
	b = wire.AppendArrayLen(b, len(t.topics), flexible)
	next := 0
	for i := range t.topics {
		topic := &t.topics[i]
		if v >= 13 {
			b = append(b, topic.id[:]...)
		} else {
			b = wire.AppendString(b, topic.name, flexible)
		}
		b = wire.AppendArrayLen(b, topic.parts, flexible)
		for _, part := range t.parts[next : next+topic.parts] {
			b = part.encode(b, v, flexible)
		}
		next += topic.parts
		b = wire.AppendTags(b, flexible)
	}
	if v >= 1 {
		b = binary.BigEndian.AppendUint32(b, uint32(t.request.ThrottleMillis()))
	}
	return wire.AppendTags(b, flexible)
}

func (p *producePart) encode(b []byte, v int16, flexible bool) []byte {
	code := codeOf(p.err)
	p.task.request.CountError(code)
	b = binary.BigEndian.AppendUint32(b, uint32(p.partition))
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	b = binary.BigEndian.AppendUint64(b, uint64(p.result.BaseOffset))
	if v >= 2 {
		b = binary.BigEndian.AppendUint64(b, uint64(p.result.LogAppendTimeMs))
	}
	if v >= 5 {
		b = binary.BigEndian.AppendUint64(b, uint64(p.result.LogStartOffset))
	}
	if v >= 8 {
		b = appendRecordErrors(b, p.err, flexible)
	}
	return wire.AppendTags(b, flexible)
}

// appendRecordErrors writes the errors of single records and the message.
func appendRecordErrors(b []byte, err error, flexible bool) []byte {
	refused, ok := errors.AsType[*storage.RecordErrors](err)
	if !ok {
		b = wire.AppendArrayLen(b, 0, flexible)
		return wire.AppendNullableString(b, detailOf(err), flexible)
	}
	b = wire.AppendArrayLen(b, len(refused.Records), flexible)
	for _, r := range refused.Records {
		b = binary.BigEndian.AppendUint32(b, uint32(r.Index))
		var message *string
		if r.Message != "" {
			message = &r.Message
		}
		b = wire.AppendNullableString(b, message, flexible)
		b = wire.AppendTags(b, flexible)
	}
	return wire.AppendNullableString(b, &refused.Message, flexible)
}
