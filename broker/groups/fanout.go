package groups

import (
	"cmp"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// gather collects the answers to the parts of one request, and calls done with
// all of them, in the order of the parts, when the last has come.
type gather[R kmsg.Response] struct {
	mu      sync.Mutex
	missing int
	parts   []R
	done    func(parts []R)
}

func newGather[R kmsg.Response](parts int, done func([]R)) *gather[R] {
	return &gather[R]{missing: parts, parts: make([]R, parts), done: done}
}

// part returns the reply function of part i.
func (g *gather[R]) part(i int) func(kmsg.Response) {
	return func(r kmsg.Response) {
		g.mu.Lock()
		g.parts[i] = r.(R)
		g.missing--
		last := g.missing == 0
		g.mu.Unlock()
		if last {
			g.done(g.parts)
		}
	}
}

func (c *Coordinator) offsetFetch(client ClientInfo, req *kmsg.OffsetFetchRequest, reply func(kmsg.Response)) {
	if req.Version < 8 {
		c.route(req.Group, client, req, reply)
		return
	}
	answer := kmsg.NewPtrOffsetFetchResponse()
	answer.Version, answer.Groups = req.Version, []kmsg.OffsetFetchResponseGroup{}
	if len(req.Groups) == 0 {
		reply(answer)
		return
	}
	all := newGather(len(req.Groups), func(parts []*kmsg.OffsetFetchResponse) {
		for _, p := range parts {
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		reply(answer)
	})
	for i, g := range req.Groups {
		one := *req
		one.Groups = []kmsg.OffsetFetchRequestGroup{g}
		c.route(g.Group, client, &one, all.part(i))
	}
}

func (c *Coordinator) deleteGroups(client ClientInfo, req *kmsg.DeleteGroupsRequest, reply func(kmsg.Response)) {
	answer := kmsg.NewPtrDeleteGroupsResponse()
	answer.Version, answer.Groups = req.Version, []kmsg.DeleteGroupsResponseGroup{}
	if len(req.Groups) == 0 {
		reply(answer)
		return
	}
	all := newGather(len(req.Groups), func(parts []*kmsg.DeleteGroupsResponse) {
		for _, p := range parts {
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		reply(answer)
	})
	for i, g := range req.Groups {
		one := *req
		one.Groups = []string{g}
		c.route(g, client, &one, all.part(i))
	}
}

func (c *Coordinator) describeGroups(client ClientInfo, req *kmsg.DescribeGroupsRequest, reply func(kmsg.Response)) {
	answer := kmsg.NewPtrDescribeGroupsResponse()
	answer.Version, answer.Groups = req.Version, []kmsg.DescribeGroupsResponseGroup{}
	if len(req.Groups) == 0 {
		reply(answer)
		return
	}
	all := newGather(len(req.Groups), func(parts []*kmsg.DescribeGroupsResponse) {
		for _, p := range parts {
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		reply(answer)
	})
	for i, g := range req.Groups {
		one := *req
		one.Groups = []string{g}
		c.route(g, client, &one, all.part(i))
	}
}

func (c *Coordinator) describeConsumerGroups(client ClientInfo, req *kmsg.ConsumerGroupDescribeRequest, reply func(kmsg.Response)) {
	answer := kmsg.NewPtrConsumerGroupDescribeResponse()
	answer.Version, answer.Groups = req.Version, []kmsg.ConsumerGroupDescribeResponseGroup{}
	if len(req.Groups) == 0 {
		reply(answer)
		return
	}
	all := newGather(len(req.Groups), func(parts []*kmsg.ConsumerGroupDescribeResponse) {
		for _, p := range parts {
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		// Ids that are none come first, as Kafka answers.
		slices.SortStableFunc(answer.Groups, func(a, b kmsg.ConsumerGroupDescribeResponseGroup) int {
			return cmp.Compare(min(len(a.Group), 1), min(len(b.Group), 1))
		})
		reply(answer)
	})
	for i, g := range req.Groups {
		one := *req
		one.Groups = []string{g}
		c.route(g, client, &one, all.part(i))
	}
}

// listGroups asks all shards; one that is loading makes the whole answer an
// error, so that nobody takes a part for all.
func (c *Coordinator) listGroups(client ClientInfo, req *kmsg.ListGroupsRequest, reply func(kmsg.Response)) {
	answer := kmsg.NewPtrListGroupsResponse()
	answer.Version, answer.Groups = req.Version, []kmsg.ListGroupsResponseGroup{}
	shards := c.shards.All()
	if len(shards) == 0 {
		reply(answer)
		return
	}
	all := newGather(len(shards), func(parts []*kmsg.ListGroupsResponse) {
		for _, p := range parts {
			if p.ErrorCode != 0 {
				reply(p)
				return
			}
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		reply(answer)
	})
	for i, sh := range shards {
		sh.submit(op{client: client, request: req, reply: all.part(i)})
	}
}
