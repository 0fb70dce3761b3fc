package broker

import (
	"sync"

	"github.com/millrace/millrace/broker/metadata"
)

// producerIDBlock is how many producer ids are taken from the metadata at once;
// a restart leaves the rest of a block unused.
const producerIDBlock = 1000

// producerIDs gives out producer ids, each once in the life of the cluster.
type producerIDs struct {
	mu        sync.Mutex
	next, end int64
}

func (p *producerIDs) take(meta *metadata.Store) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == p.end {
		image, err := meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
			return []metadata.Record{&metadata.ProducerIDsRecord{Next: image.NextProducerID + producerIDBlock}}, nil
		})
		if err != nil {
			return 0, err
		}
		p.next, p.end = image.NextProducerID-producerIDBlock, image.NextProducerID
	}
	p.next++
	return p.next - 1, nil
}
