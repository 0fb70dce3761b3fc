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

// fanOut routes a request about several groups to their shards, a request for each group, and calls
// done with the answers in the order of the groups.
func fanOut[R kmsg.Response](c *Coordinator, client ClientInfo, groups []string, one func(i int) kmsg.Request, done func([]R)) {
	if len(groups) == 0 {
		done(nil)
		return
	}
	all := newGather(len(groups), done)
	for i, g := range groups {
		c.route(g, client, one(i), all.part(i))
	}
}

func (c *Coordinator) offsetFetch(client ClientInfo, req *kmsg.OffsetFetchRequest, reply func(kmsg.Response)) {
	if req.Version < 8 {
		c.route(req.Group, client, req, reply)
		return
	}
	groups := make([]string, len(req.Groups))
	for i, g := range req.Groups {
		groups[i] = g.Group
	}
	fanOut(c, client, groups, func(i int) kmsg.Request {
		one := *req
		one.Groups = req.Groups[i : i+1]
		return &one
	}, func(parts []*kmsg.OffsetFetchResponse) {
		answer := kmsg.NewPtrOffsetFetchResponse()
		answer.Version, answer.Groups = req.Version, []kmsg.OffsetFetchResponseGroup{}
		for _, p := range parts {
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		reply(answer)
	})
}

func (c *Coordinator) deleteGroups(client ClientInfo, req *kmsg.DeleteGroupsRequest, reply func(kmsg.Response)) {
	groups := eachOnce(req.Groups)
	fanOut(c, client, groups, func(i int) kmsg.Request {
		one := *req
		one.Groups = groups[i : i+1]
		return &one
	}, func(parts []*kmsg.DeleteGroupsResponse) {
		answer := kmsg.NewPtrDeleteGroupsResponse()
		answer.Version, answer.Groups = req.Version, []kmsg.DeleteGroupsResponseGroup{}
		for _, p := range parts {
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		reply(answer)
	})
}

// eachOnce returns groups in their order without repetitions.
func eachOnce(groups []string) []string {
	seen := make(map[string]bool, len(groups))
	once := make([]string, 0, len(groups))
	for _, g := range groups {
		if !seen[g] {
			seen[g], once = true, append(once, g)
		}
	}
	return once
}

func (c *Coordinator) describeGroups(client ClientInfo, req *kmsg.DescribeGroupsRequest, reply func(kmsg.Response)) {
	fanOut(c, client, req.Groups, func(i int) kmsg.Request {
		one := *req
		one.Groups = req.Groups[i : i+1]
		return &one
	}, func(parts []*kmsg.DescribeGroupsResponse) {
		answer := kmsg.NewPtrDescribeGroupsResponse()
		answer.Version, answer.Groups = req.Version, []kmsg.DescribeGroupsResponseGroup{}
		for _, p := range parts {
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		reply(answer)
	})
}

func (c *Coordinator) describeConsumerGroups(client ClientInfo, req *kmsg.ConsumerGroupDescribeRequest, reply func(kmsg.Response)) {
	fanOut(c, client, req.Groups, func(i int) kmsg.Request {
		one := *req
		one.Groups = req.Groups[i : i+1]
		return &one
	}, func(parts []*kmsg.ConsumerGroupDescribeResponse) {
		answer := kmsg.NewPtrConsumerGroupDescribeResponse()
		answer.Version, answer.Groups = req.Version, []kmsg.ConsumerGroupDescribeResponseGroup{}
		for _, p := range parts {
			answer.Groups = append(answer.Groups, p.Groups...)
		}
		// Ids that are none come first, as Kafka answers.
		slices.SortStableFunc(answer.Groups, func(a, b kmsg.ConsumerGroupDescribeResponseGroup) int {
			return cmp.Compare(min(len(a.Group), 1), min(len(b.Group), 1))
		})
		reply(answer)
	})
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
