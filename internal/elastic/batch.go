package elastic

import "github.com/millrace/millrace/internal/event"

// Batch is the documents of one bulk request, in the order in which they were
// added. It belongs to one goroutine at a time.
type Batch struct {
	body  []byte
	items []Item
}

// Item is one document of a batch.
type Item struct {
	// Index and ID are where it is written.
	Index, ID string
	// Ref is the caller's own, carried along.
	Ref any
	// start, doc and end are positions in the body: of the action line, of the
	// document, and after its line end.
	start, doc, end int
}

// Reset empties the batch; its memory is used again.
func (b *Batch) Reset() {
	clear(b.items)
	b.body, b.items = b.body[:0], b.items[:0]
}

// Len returns the number of documents.
func (b *Batch) Len() int { return len(b.items) }

// Size returns the length of the request's body in bytes.
func (b *Batch) Size() int { return len(b.body) }

// Item returns the i-th document's description.
func (b *Batch) Item(i int) Item { return b.items[i] }

// Document returns the i-th document. The slice is valid until Reset.
func (b *Batch) Document(i int) []byte {
	it := b.items[i]
	return b.body[it.doc : it.end-1]
}

// Create adds a document with op_type create. doc must be one line of JSON; it
// is copied.
func (b *Batch) Create(index, id string, doc []byte, ref any) {
	it := Item{Index: index, ID: id, Ref: ref, start: len(b.body)}
	b.body = append(b.body, `{"create":{"_index":`...)
	b.body = event.String(index).AppendJSON(b.body)
	b.body = append(b.body, `,"_id":`...)
	b.body = event.String(id).AppendJSON(b.body)
	b.body = append(b.body, "}}\n"...)
	it.doc = len(b.body)
	b.body = append(b.body, doc...)
	b.body = append(b.body, '\n')
	it.end = len(b.body)
	b.items = append(b.items, it)
}

// part returns a batch of some documents of this one.
func (b *Batch) part(positions []int) *Batch {
	p := &Batch{}
	for _, i := range positions {
		it := b.items[i]
		at := len(p.body)
		p.body = append(p.body, b.body[it.start:it.end]...)
		p.items = append(p.items, Item{
			Index: it.Index, ID: it.ID, Ref: it.Ref,
			start: at, doc: at + it.doc - it.start, end: at + it.end - it.start,
		})
	}
	return p
}
