package broker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/quota"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeClientQuotas: v0-1
//
// Behaviour:
// * Answers the entities that all components of the filter pick, in order; with
//   strict those alone that have no other parts.
// * For who may describe the cluster's configs.
//
// KIPs:
// * KIP-546: the API
// * KIP-612: addresses

// Kinds of match of a filter's component.
const (
	quotaMatchExact   = 0
	quotaMatchDefault = 1
	quotaMatchAny     = 2
)

func (n *Node) describeClientQuotas(r *wire.Request, req *kmsg.DescribeClientQuotasRequest) *kmsg.DescribeClientQuotasResponse {
	resp := newResponse[*kmsg.DescribeClientQuotasResponse](req)
	err := n.authorizeCluster(r, acl.DescribeConfigs)
	var filter quotaFilter
	if err == nil {
		filter, err = newQuotaFilter(req)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		return resp // with null entries, as Kafka's
	}
	resp.ErrorMessage = new("") // as Kafka's
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
	limits := n.meta.Image().Quotas()
	for _, e := range limits.Entities() {
		if filter.matches(e) {
			resp.Entries = append(resp.Entries, describeQuota(e, limits.Get(e)))
		}
	}
	return resp
}

// quotaFilter says what each kind of part of an entity must be.
type quotaFilter struct {
	exact  map[string]quota.Name
	any    map[string]bool
	strict bool
}

// newQuotaFilter reads a filter; the error is in Kafka's words.
func newQuotaFilter(req *kmsg.DescribeClientQuotasRequest) (quotaFilter, error) {
	f := quotaFilter{exact: make(map[string]quota.Name), any: make(map[string]bool), strict: req.Strict}
	for _, c := range req.Components {
		if err := f.add(c); err != nil {
			return f, err
		}
	}
	has := func(kind string) bool { return f.any[kind] || f.exact[kind].Set }
	if has(quota.IP) && (has(quota.User) || has(quota.ClientID)) {
		return f, refuse(kerr.InvalidRequest, "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component.")
	}
	return f, nil
}

func (f *quotaFilter) add(c kmsg.DescribeClientQuotasRequestComponent) error {
	switch {
	case c.EntityType == "":
		return refuse(kerr.InvalidRequest, "Invalid empty entity type.")
	case f.any[c.EntityType] || f.exact[c.EntityType].Set:
		return refuse(kerr.InvalidRequest, "Entity type "+c.EntityType+" cannot appear more than once in the filter.")
	case c.EntityType != quota.User && c.EntityType != quota.ClientID && c.EntityType != quota.IP:
		return refuse(kerr.UnsupportedVersion, "Unsupported entity type "+c.EntityType)
	}
	switch c.MatchType {
	case quotaMatchExact:
		if c.Match == nil {
			return refuse(kerr.InvalidRequest, "Request specified MATCH_TYPE_EXACT, but set match string to null.")
		}
		f.exact[c.EntityType] = quota.Named(*c.Match)
	case quotaMatchDefault:
		if c.Match != nil {
			return refuse(kerr.InvalidRequest, "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.")
		}
		f.exact[c.EntityType] = quota.DefaultName()
	case quotaMatchAny:
		if c.Match != nil {
			return refuse(kerr.InvalidRequest, "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.")
		}
		f.any[c.EntityType] = true
	default:
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Unknown match type %d", c.MatchType))
	}
	return nil
}

func (f *quotaFilter) matches(e quota.Entity) bool {
	parts := e.Parts()
	if f.strict && len(parts) != len(f.exact)+len(f.any) {
		return false
	}
	matched := 0
	for _, p := range parts {
		if want, ok := f.exact[p.Kind]; ok && want == p.Name || f.any[p.Kind] {
			matched++
		}
	}
	return matched == len(f.exact)+len(f.any)
}

func describeQuota(e quota.Entity, limits map[quota.Key]float64) kmsg.DescribeClientQuotasResponseEntry {
	out := kmsg.NewDescribeClientQuotasResponseEntry()
	for _, p := range e.Parts() {
		part := kmsg.NewDescribeClientQuotasResponseEntryEntity()
		part.Type = p.Kind
		if !p.Name.Default {
			part.Name = &p.Name.Value
		}
		out.Entity = append(out.Entity, part)
	}
	for _, k := range slices.Sorted(maps.Keys(limits)) {
		out.Values = append(out.Values, kmsg.DescribeClientQuotasResponseEntryValue{Key: string(k), Value: limits[k]})
	}
	return out
}
