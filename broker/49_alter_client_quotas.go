package broker

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/quota"
	"github.com/millrace/millrace/broker/wire"
)

// AlterClientQuotas: v0-1
//
// Behaviour:
// * Sets and removes limits of users, client ids, both, or addresses, by name or as
//   defaults. What is answered without error is durable and in force.
// * Entities stand for themselves: what is right is done when another is refused.
//   An entity that occurs twice is INVALID_REQUEST from the second time on.
// * Addresses are written as addresses: names are not looked up.
// * For who may alter the cluster's configs.
//
// KIPs:
// * KIP-546: the API
// * KIP-612: addresses

func (n *Node) alterClientQuotas(r *wire.Request, req *kmsg.AlterClientQuotasRequest) *kmsg.AlterClientQuotasResponse {
	resp := newResponse[*kmsg.AlterClientQuotasResponse](req)
	errs := make([]error, len(req.Entries))
	err := n.authorizeCluster(r, acl.AlterConfigs)
	if err == nil {
		err = n.alterQuotas(req, errs)
	}
	resp.Entries = make([]kmsg.AlterClientQuotasResponseEntry, len(req.Entries))
	for i, entry := range req.Entries {
		out := &resp.Entries[i]
		failed := errs[i]
		if err != nil {
			failed = err
		}
		out.ErrorCode, out.ErrorMessage = codeOf(failed), messageOf(failed)
		out.Entity = []kmsg.AlterClientQuotasResponseEntryEntity{}
		for _, e := range entry.Entity {
			out.Entity = append(out.Entity, kmsg.AlterClientQuotasResponseEntryEntity{Type: e.Type, Name: e.Name})
		}
	}
	return resp
}

// alterQuotas commits what is right and sets the errors of the other entries.
func (n *Node) alterQuotas(req *kmsg.AlterClientQuotasRequest, errs []error) error {
	changed := 0
	_, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		var records []metadata.Record
		seen := make(map[quota.Entity]bool)
		for i, entry := range req.Entries {
			e, err := quotaEntity(entry.Entity)
			if err == nil && seen[e] {
				err = refuse(kerr.InvalidRequest, "Ignoring duplicate entity")
			}
			seen[e] = true
			var of []metadata.Record
			if err == nil {
				of, err = quotaRecords(image.Quotas().Get(e), e, entry.Ops)
			}
			if errs[i] = err; err == nil {
				records = append(records, of...)
			}
		}
		if changed = len(records); req.ValidateOnly && changed > 0 {
			return nil, errOnlyValidated
		}
		return records, nil
	})
	if errors.Is(err, errOnlyValidated) {
		return nil
	}
	if err == nil && changed > 0 {
		n.log.Info("client quotas changed", "count", changed)
	}
	return err
}

// quotaEntity reads an entity; the error is in Kafka's words.
func quotaEntity(parts []kmsg.AlterClientQuotasRequestEntryEntity) (quota.Entity, error) {
	var e quota.Entity
	for _, p := range parts {
		name := quota.DefaultName()
		if p.Name != nil {
			name = quota.Named(*p.Name)
		}
		var to *quota.Name
		switch p.Type {
		case quota.User:
			to = &e.User
		case quota.ClientID:
			to = &e.ClientID
		case quota.IP:
			to = &e.IP
		default:
			return e, refuse(kerr.InvalidRequest, "Unhandled client quota entity type: "+p.Type)
		}
		switch {
		case to.Set:
			return e, refuse(kerr.InvalidRequest, "Invalid client quota entity, duplicate entity entry "+p.Type)
		case p.Name != nil && *p.Name == "":
			return e, refuse(kerr.InvalidRequest, "Empty "+p.Type+" not supported")
		}
		*to = name
	}
	return e, checkQuotaEntity(&e)
}

// checkQuotaEntity checks the parts together, and writes an address as clients' are.
func checkQuotaEntity(e *quota.Entity) error {
	switch {
	case *e == quota.Entity{}:
		return refuse(kerr.InvalidRequest, "Invalid empty client quota entity")
	case e.IP.Set && (e.User.Set || e.ClientID.Set):
		return refuse(kerr.InvalidRequest, "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId")
	case !e.IP.Set || e.IP.Default:
		return nil
	}
	addr, err := netip.ParseAddr(e.IP.Value)
	if err != nil {
		return refuse(kerr.InvalidRequest, e.IP.Value+" is not a valid IP or resolvable host.")
	}
	e.IP.Value = addr.Unmap().String()
	return nil
}

// quotaRecords are the changes of one entity.
func quotaRecords(current map[quota.Key]float64, e quota.Entity, ops []kmsg.AlterClientQuotasRequestEntryOp) ([]metadata.Record, error) {
	var records []metadata.Record
	seen := make(map[string]bool)
	for _, op := range ops {
		if seen[op.Key] {
			return nil, refuse(kerr.InvalidRequest, "Duplicate quota key "+op.Key)
		}
		seen[op.Key] = true
		key := quota.Key(op.Key)
		old, there := current[key]
		record := &metadata.QuotaRecord{Entity: metadata.QuotaParts(e), Key: key}
		if op.Remove {
			if there {
				records = append(records, record)
			}
			continue
		}
		if err := checkQuotaValue(e, key, op.Value); err != nil {
			return nil, err
		}
		if !there || old != op.Value {
			record.Value = new(op.Value)
			records = append(records, record)
		}
	}
	return records, nil
}

// checkQuotaValue says what is wrong with a limit, in Kafka's words.
func checkQuotaValue(e quota.Entity, key quota.Key, value float64) error {
	most, kind := 0.0, "a LONG" // of a whole number; 0 for any number
	known := !e.IP.Set
	switch key {
	case quota.ProducerByteRate, quota.ConsumerByteRate:
		most = math.MaxInt64
	case quota.RequestPercentage, quota.ControllerMutationRate:
	case quota.ConnectionCreationRate:
		most, kind, known = math.MaxInt32, "an INT", e.IP.Set
	default:
		known = false
	}
	switch {
	case !known:
		return refuse(kerr.InvalidRequest, "Invalid configuration key "+string(key))
	case !(value > 0):
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Quota %s must be greater than 0", key))
	case most > 0 && value > most:
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Proposed value for %s is too large for %s.", key, kind))
	case most > 0 && math.Mod(value, 1) > 1e-6:
		return refuse(kerr.InvalidRequest, fmt.Sprintf("%s cannot be a fractional value.", key))
	}
	return nil
}
