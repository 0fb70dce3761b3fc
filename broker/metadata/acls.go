package metadata

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/broker/acl"
)

// ACL is an access control entry as it is stored, with Kafka's names.
type ACL struct {
	ResourceType acl.ResourceType `json:"resource_type"`
	Name         string           `json:"name"`
	PatternType  acl.PatternType  `json:"pattern_type"`
	Principal    string           `json:"principal"`
	Host         string           `json:"host"`
	Operation    acl.Operation    `json:"operation"`
	Permission   acl.Permission   `json:"permission"`
}

// ACLOf is how a binding is stored.
func ACLOf(b acl.Binding) ACL {
	return ACL{b.Type, b.Name, b.Kind, b.Principal, b.Host, b.Operation, b.Permission}
}

// Binding is what is stored.
func (a *ACL) Binding() acl.Binding {
	return acl.Binding{
		Pattern:   acl.Pattern{Type: a.ResourceType, Name: a.Name, Kind: a.PatternType},
		Principal: a.Principal, Host: a.Host, Operation: a.Operation, Permission: a.Permission,
	}
}

// aclSet is the access control entries of an image. The maps are copied when
// they are changed for the first time after an image was published.
type aclSet struct {
	index   *acl.Index
	ids     map[acl.Binding]TopicID
	byID    map[TopicID]acl.Binding
	owned   bool
	changes []acl.Change // that index does not have yet
}

func newACLSet() aclSet { return aclSet{index: new(acl.Index)} }

// share returns the set for another image.
func (s aclSet) share() aclSet {
	s.owned = false
	return s
}

func (s *aclSet) own() {
	if s.owned {
		return
	}
	s.ids, s.byID, s.owned = maps.Clone(s.ids), maps.Clone(s.byID), true
	if s.ids == nil {
		s.ids, s.byID = make(map[acl.Binding]TopicID), make(map[TopicID]acl.Binding)
	}
}

func (s *aclSet) add(id TopicID, b acl.Binding) error {
	if _, there := s.ids[b]; there || s.byID[id] != (acl.Binding{}) || id == (TopicID{}) || !storable(b) {
		return fmt.Errorf("%w: access control entry %s", errRecord, id)
	}
	s.own()
	s.ids[b], s.byID[id] = id, b
	s.changes = append(s.changes, acl.Change{Binding: b})
	return nil
}

func (s *aclSet) remove(id TopicID) error {
	b, there := s.byID[id]
	if !there {
		return fmt.Errorf("%w: removal of the unknown access control entry %s", errRecord, id)
	}
	s.own()
	delete(s.ids, b)
	delete(s.byID, id)
	s.changes = append(s.changes, acl.Change{Binding: b, Removed: true})
	return nil
}

// seal makes the index fit; it must come before the image is published.
func (s *aclSet) seal() {
	if len(s.changes) > 0 {
		s.index, s.changes = s.index.With(s.changes), nil
	}
}

// storable reports whether a binding says something about resources.
func storable(b acl.Binding) bool {
	return b.Type.Known() && b.Type != acl.ResourceAny && (b.Kind == acl.PatternLiteral || b.Kind == acl.PatternPrefixed) &&
		b.Operation.Known() && b.Operation != acl.OperationAny && (b.Permission == acl.Allow || b.Permission == acl.Deny)
}

// ACLIndex answers what the access control entries of the image say.
func (i *Image) ACLIndex() *acl.Index { return i.acls.index }

// ACLID returns the id of an access control entry, false when there is none like it.
func (i *Image) ACLID(b acl.Binding) (TopicID, bool) {
	id, ok := i.acls.ids[b]
	return id, ok
}

// ACLs yields the access control entries in no order.
func (i *Image) ACLs() iter.Seq2[acl.Binding, TopicID] { return maps.All(i.acls.ids) }

func (r *ACLRecord) apply(i *Image) error        { return i.acls.add(r.ID, r.Binding()) }
func (r *ACLRemovedRecord) apply(i *Image) error { return i.acls.remove(r.ID) }

// records are the entries of a snapshot, in an order that depends on them alone.
func (s *aclSet) records() []ACLRecord {
	out := make([]ACLRecord, 0, len(s.byID))
	for id, b := range s.byID {
		out = append(out, ACLRecord{ID: id, ACL: ACLOf(b)})
	}
	slices.SortFunc(out, func(a, b ACLRecord) int {
		return cmp.Or(cmp.Compare(a.ResourceType, b.ResourceType), strings.Compare(a.Name, b.Name), slices.Compare(a.ID[:], b.ID[:]))
	})
	return out
}
