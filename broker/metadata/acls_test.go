package metadata

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/internal/vfs"
)

func binding(principal string) acl.Binding {
	return acl.Binding{
		Pattern:   acl.Pattern{Type: acl.ResourceTopic, Name: "t", Kind: acl.PatternPrefixed},
		Principal: principal, Host: acl.Wildcard, Operation: acl.Read, Permission: acl.Allow,
	}
}

func TestACLsAreKeptWithTheirIndex(t *testing.T) {
	fs := vfs.NewMem(nil)
	s := open(t, fs)
	commit(t, s, &ClusterRecord{ClusterID: "c"})
	one := &ACLRecord{ID: TopicID{1}, ACL: ACLOf(binding("User:a"))}
	before := commit(t, s, one)
	after := commit(t, s, &ACLRecord{ID: TopicID{2}, ACL: ACLOf(binding("User:b"))}, &ACLRemovedRecord{ID: TopicID{1}})

	may := func(i *Image, principal string) bool {
		a, err := acl.NewAuthorizer(nil, false)
		if err != nil {
			t.Fatal(err)
		}
		return a.Authorize(i.ACLIndex(), principal, "h", acl.Describe, acl.Topic("test"))
	}
	check := func(when string, i *Image, a, b bool) {
		if may(i, "User:a") != a || may(i, "User:b") != b {
			t.Errorf("%s: a may read: %v, b may read: %v", when, may(i, "User:a"), may(i, "User:b"))
		}
	}
	check("before", before, true, false)
	check("after", after, false, true)
	if id, ok := after.ACLID(binding("User:b")); !ok || id != (TopicID{2}) {
		t.Errorf("the entry has the id %s, %v", id, ok)
	}
	if _, ok := after.ACLID(binding("User:a")); ok {
		t.Error("an entry that was removed has an id")
	}
	for _, r := range []Record{one, &ACLRecord{ID: TopicID{2}, ACL: ACLOf(binding("User:c"))}, &ACLRecord{ID: TopicID{3}, ACL: ACLOf(binding("User:b"))}, &ACLRemovedRecord{ID: TopicID{9}}, &ACLRecord{ID: TopicID{4}}} {
		_, err := s.Update(func(*Image) ([]Record, error) { return []Record{r}, nil })
		if fits := r == Record(one); (err == nil) != fits {
			t.Errorf("%+v is taken with the error %v", r, err)
		}
	}
	want := text(t, s.Image())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, fs)
	if got := text(t, again.Image()); got != want {
		t.Errorf("after a restart\n got %s\nwant %s", got, want)
	}
	check("after a restart", again.Image(), true, true)
}

func TestACLsSurviveASnapshot(t *testing.T) {
	fs := vfs.NewMem(nil)
	s := open(t, fs)
	commit(t, s, &ClusterRecord{ClusterID: "c"})
	for i := range 100 {
		commit(t, s, &ACLRecord{ID: TopicID{1, byte(i)}, ACL: ACLOf(binding(fmt.Sprintf("User:%d", i)))})
	}
	want := text(t, s.Image())
	if err := s.group.Compact(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, fs)
	if got := text(t, again.Image()); got != want || again.Image().ACLIndex().Len() != 100 {
		t.Errorf("after a snapshot\n got %s\nwant %s", got, want)
	}
}
