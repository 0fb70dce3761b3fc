package metadata

import (
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/broker/quota"
)

// Quotas returns the limits of clients.
func (i *Image) Quotas() *quota.Limits { return i.quotas }

// QuotaParts is how an entity is stored.
func QuotaParts(e quota.Entity) []QuotaPart {
	var parts []QuotaPart
	for _, p := range e.Parts() {
		part := QuotaPart{Kind: p.Kind}
		if !p.Name.Default {
			part.Name = &p.Name.Value
		}
		parts = append(parts, part)
	}
	return parts
}

// entity is what is stored.
func (r *QuotaRecord) entity() (quota.Entity, error) {
	var e quota.Entity
	for _, p := range r.Entity {
		name := quota.DefaultName()
		if p.Name != nil {
			name = quota.Named(*p.Name)
		}
		switch p.Kind {
		case quota.User:
			e.User = name
		case quota.ClientID:
			e.ClientID = name
		case quota.IP:
			e.IP = name
		default:
			return e, fmt.Errorf("%w: a quota of the kind %q", errRecord, p.Kind)
		}
	}
	if e == (quota.Entity{}) || r.Value != nil && !(*r.Value > 0) {
		return e, fmt.Errorf("%w: quota %+v", errRecord, r)
	}
	return e, nil
}

func (r *QuotaRecord) apply(i *Image) error {
	e, err := r.entity()
	if err == nil {
		i.quotas = i.quotas.With(e, r.Key, r.Value)
	}
	return err
}

// quotaRecords are the limits of a snapshot, in order.
func (i *Image) quotaRecords() []QuotaRecord {
	var out []QuotaRecord
	for _, e := range i.quotas.Entities() {
		limits := i.quotas.Get(e)
		for _, k := range slices.Sorted(maps.Keys(limits)) {
			out = append(out, QuotaRecord{Entity: QuotaParts(e), Key: k, Value: new(limits[k])})
		}
	}
	return out
}
