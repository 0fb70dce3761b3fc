package storage

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
)

// Result is what became of a write.
type Result struct {
	SeqNo, Version int64
	// Created is true for a new document, false where one was replaced.
	Created bool
	// Found is false for a deletion of a document that is not there.
	Found bool
	// Position is what [Store.Sync] must be called with before the write is answered.
	Position int64
}

// Operations in a walDocument record.
const (
	opPut    byte = 1
	opDelete byte = 2
)

// parseTriesMax bounds how often a document is read again because another has changed
// the mapping.
const parseTriesMax = 100

// Put adds a document or, unless create is set, replaces the one with the _id. A
// conflict is an *apierror.Error of status 409; its Position is valid too. Nothing
// is on disk before [Store.Sync]. source is copied.
func (ix *Index) Put(p *mapping.Parser, id string, source []byte, create bool) (Result, error) {
	for range parseTriesMax {
		m := ix.mapping.Load()
		values, next, err := p.Parse(m, id, source)
		if err != nil {
			return Result{}, err
		}
		if next == nil {
			return ix.put(id, source, values, create)
		}
		// The document must be good under the new mapping, or that is not made.
		if _, _, err := p.Parse(next, id, source); err != nil {
			return Result{}, err
		}
		_, err = ix.changeMapping(func(current *mapping.Mapping) (*mapping.Mapping, error) {
			if current != m {
				return current, nil // changed meanwhile: the document is read again
			}
			return next, nil
		})
		if err != nil {
			return Result{}, err
		}
	}
	return Result{}, fmt.Errorf("the mapping of %s does not come to rest", ix.Name)
}

func (ix *Index) put(id string, source []byte, values []mapping.Value, create bool) (Result, error) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.deleted {
		return Result{}, ErrClosed
	}
	old, err := ix.find(id)
	if err != nil {
		return Result{}, err
	}
	if old.found && create {
		return Result{Position: ix.store.wal.end()}, ix.conflict(id, old.version)
	}
	r := Result{SeqNo: ix.nextSeq, Version: old.version + 1, Created: !old.found, Found: true}
	if r.Position, err = ix.log(opPut, id, source, r); err != nil {
		return Result{}, err
	}
	ix.apply(old, id, source, values, r)
	return r, nil
}

func (ix *Index) conflict(id string, version int64) error {
	return &apierror.Error{
		Status: 409, Type: "version_conflict_engine_exception",
		Reason: fmt.Sprintf("[%s]: version conflict, document already exists (current version [%d])", id, version),
		Fields: map[string]any{"index_uuid": ix.UUID.String(), "shard": "0", "index": ix.Name},
	}
}

// Delete removes the document with the _id. As with Put, nothing is on disk before Sync.
func (ix *Index) Delete(id string) (Result, error) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.deleted {
		return Result{}, ErrClosed
	}
	old, err := ix.find(id)
	if err != nil {
		return Result{}, err
	}
	r := Result{SeqNo: ix.nextSeq, Version: old.version + 1, Found: old.found}
	if r.Position, err = ix.log(opDelete, id, nil, r); err != nil {
		return Result{}, err
	}
	ix.applyDelete(old, id, r)
	return r, nil
}

func (ix *Index) log(op byte, id string, source []byte, r Result) (int64, error) {
	var buffer [64]byte
	head := append(buffer[:0], op)
	head = binary.AppendUvarint(head, uint64(r.SeqNo))
	head = binary.AppendUvarint(head, uint64(r.Version))
	head = binary.AppendUvarint(head, uint64(len(id)))
	head = append(head, id...)
	return ix.append(walDocument, head, source)
}

// apply puts the document into the buffer; mu is held.
func (ix *Index) apply(old location, id string, source []byte, values []mapping.Value, r Result) {
	ix.removeRow(old)
	before := ix.active.bytes
	ix.active.append(id, source, r.SeqNo, r.Version, values)
	ix.store.buffered.Add(ix.active.bytes - before)
	ix.advance(r.SeqNo)
}

func (ix *Index) applyDelete(old location, id string, r Result) {
	ix.removeRow(old)
	delete(ix.active.ids, id)
	ix.active.tombstones[id] = r.Version
	ix.active.bytes += int64(len(id)) + documentOverheadBytes
	ix.store.buffered.Add(int64(len(id)) + documentOverheadBytes)
	ix.advance(r.SeqNo)
}

func (ix *Index) advance(seq int64) {
	ix.active.maxSeq = max(ix.active.maxSeq, seq)
	ix.nextSeq = max(ix.nextSeq, seq+1)
	ix.written = ix.store.clock()
	ix.changed = true
}

// location is where the live document with an _id is.
type location struct {
	found   bool
	version int64 // also of a document that was deleted lately; 0 for none
	table   *memtable
	state   *segmentState
	at      address
}

// find looks an _id up in the buffers and segments; mu is held.
func (ix *Index) find(id string) (location, error) {
	for _, t := range []*memtable{ix.active, ix.flushing} {
		if t == nil {
			continue
		}
		if at, ok := t.ids[id]; ok {
			if !t.deleted[at.block()].Has(at.row()) {
				return location{found: true, version: t.version(at), table: t, at: at}, nil
			}
			continue
		}
		if version, ok := t.tombstones[id]; ok {
			return location{version: version}, nil
		}
	}
	for _, st := range slices.Backward(ix.segments) {
		at, ok, err := st.seg.find(id)
		if err != nil {
			return location{}, fmt.Errorf("look up _id in segment %d of %s: %w", st.seg.meta.ID, ix.Name, err)
		}
		if !ok || st.isDeleted(at) {
			continue
		}
		version, err := st.seg.version(at)
		if err != nil {
			return location{}, err
		}
		return location{found: true, version: version, state: st, at: at}, nil
	}
	return location{}, nil
}

func (ix *Index) removeRow(old location) {
	switch {
	case !old.found:
	case old.table != nil:
		old.table.remove(old.at)
	default:
		old.state.remove(old.at)
	}
}

// Document is one stored document.
type Document struct {
	ID             string
	Source         []byte
	SeqNo, Version int64
}

// Get returns the latest document with the _id, refreshed or not, and false
// where there is none.
func (ix *Index) Get(id string) (Document, bool, error) {
	ix.mu.Lock()
	old, err := ix.find(id)
	if err != nil || !old.found {
		ix.mu.Unlock()
		return Document{}, false, err
	}
	var block *Block
	if old.table != nil {
		block = &Block{mem: old.table.blocks[old.at.block()].view()}
	} else {
		old.state.seg.acquire()
		defer old.state.seg.release()
		block = &Block{seg: old.state.seg, group: old.at.block()}
	}
	ix.mu.Unlock()
	var document Document
	err = block.Fetch([]int{old.at.row()}, func(_ int, d Document) error {
		document = d
		return nil
	})
	return document, err == nil, err
}

// replayDocument applies a record of the log that is newer than the segments.
func (ix *Index) replayDocument(p *mapping.Parser, payload []byte) (int64, error) {
	if len(payload) == 0 {
		return 0, &CorruptionError{File: ix.dir, Reason: "empty record in the log"}
	}
	d := decoder{data: payload[1:]}
	r := Result{SeqNo: int64(d.uvarint()), Version: int64(d.uvarint())}
	id := string(d.bytes(d.count()))
	if d.failed {
		return 0, &CorruptionError{File: ix.dir, Reason: "record in the log"}
	}
	if r.SeqNo <= ix.flushedSeq {
		return 0, nil
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.note()
	old, err := ix.find(id)
	if err != nil {
		return 0, err
	}
	if payload[0] == opDelete {
		ix.applyDelete(old, id, r)
		return ix.logged, nil
	}
	values, next, err := p.Parse(ix.mapping.Load(), id, d.data)
	if err == nil && next != nil {
		ix.mapping.Store(next)
		values, _, err = p.Parse(next, id, d.data)
	}
	if err != nil {
		return 0, fmt.Errorf("document %q of %s in the log: %w", id, ix.Name, err)
	}
	ix.apply(old, id, d.data, values, r)
	return ix.logged, nil
}

// replayMapping applies a mapping of the log. Each mapping contains all before it.
func (ix *Index) replayMapping(payload []byte) (int64, error) {
	next, err := ix.mapping.Load().MergeJSON(payload)
	if err != nil {
		return 0, fmt.Errorf("mapping of %s in the log: %w", ix.Name, err)
	}
	ix.mapping.Store(next)
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.note()
	return ix.logged, nil
}
