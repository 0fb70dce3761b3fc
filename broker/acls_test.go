package broker

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestACLsAreMadeListedAndRemoved goes through kadm, and over a restart.
func TestACLsAreMadeListedAndRemoved(t *testing.T) {
	cfg, dir := closedConfig(), t.TempDir()
	cfg.Authorizer.SuperUsers = []string{anonymous}
	n := startNode(t, dir, cfg)
	admin := newAdmin(t, n)
	builder := func() *kadm.ACLBuilder {
		return kadm.NewACLs().Topics("team-").Groups("g").Allow("User:alice").AllowHosts("10.0.0.1").Operations(kadm.OpRead, kadm.OpWrite).ResourcePatternType(kadm.ACLPatternPrefixed)
	}
	for range 2 { // the second time all are there already
		made, err := admin.CreateACLs(t.Context(), builder())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range made {
			if m.Err != nil {
				t.Errorf("%s %s: %v %s", m.Name, m.Operation, m.Err, m.ErrMessage)
			}
		}
	}
	if got := n.meta.Image().ACLIndex().Len(); got != 4 {
		t.Fatalf("%d entries, want 4", got)
	}
	n.stop()
	n = startNode(t, dir, cfg)
	admin = newAdmin(t, n)

	listed := func(b *kadm.ACLBuilder) string {
		t.Helper()
		results, err := admin.DescribeACLs(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, r := range results {
			if r.Err != nil {
				t.Fatalf("%v %s", r.Err, r.ErrMessage)
			}
			for _, d := range r.Described {
				seen[fmt.Sprintf("%s %s %s %s %s %s %s", d.Type, d.Name, d.Pattern, d.Principal, d.Host, d.Operation, d.Permission)] = true
			}
		}
		var lines []string
		for line := range seen {
			lines = append(lines, line)
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	match := kadm.NewACLs().Topics("team-blue").Allow("User:alice").AllowHosts().Operations().ResourcePatternType(kadm.ACLPatternMatch)
	want := "TOPIC team- PREFIXED User:alice 10.0.0.1 READ ALLOW\nTOPIC team- PREFIXED User:alice 10.0.0.1 WRITE ALLOW"
	if got := listed(match); got != want {
		t.Errorf("matching\n got %s\nwant %s", got, want)
	}
	if got := listed(kadm.NewACLs().Topics("team-blue").Allow("User:alice").AllowHosts().Operations().ResourcePatternType(kadm.ACLPatternLiteral)); got != "" {
		t.Errorf("there is no literal entry, but %s", got)
	}
	deleted, err := admin.DeleteACLs(t.Context(), kadm.NewACLs().AnyResource().Allow("User:alice").AllowHosts().Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternAny))
	if err != nil {
		t.Fatal(err)
	}
	gone := 0
	for _, d := range deleted {
		gone += len(d.Deleted)
	}
	if left := n.meta.Image().ACLIndex().Len(); gone != 2 || left != 2 {
		t.Errorf("%d removed, %d left", gone, left)
	}
}

func TestUnsoundACLsAreRefusedOneByOne(t *testing.T) {
	cfg := closedConfig()
	cfg.Authorizer.SuperUsers = []string{anonymous}
	n := startNode(t, t.TempDir(), cfg)
	sound := kmsg.CreateACLsRequestCreation{ResourceType: 2, ResourceName: "t", ResourcePatternType: 3, Principal: "User:a", Host: "*", Operation: 3, PermissionType: 3}
	with := func(change func(*kmsg.CreateACLsRequestCreation)) kmsg.CreateACLsRequestCreation {
		c := sound
		change(&c)
		return c
	}
	req := kmsg.NewPtrCreateACLsRequest()
	req.Creations = []kmsg.CreateACLsRequestCreation{
		with(func(c *kmsg.CreateACLsRequestCreation) { c.ResourceName = "" }),
		with(func(c *kmsg.CreateACLsRequestCreation) { c.ResourceType = 4 }),
		with(func(c *kmsg.CreateACLsRequestCreation) { c.ResourceType = 1 }),
		with(func(c *kmsg.CreateACLsRequestCreation) { c.ResourcePatternType = 2 }),
		with(func(c *kmsg.CreateACLsRequestCreation) { c.Operation = 1 }),
		with(func(c *kmsg.CreateACLsRequestCreation) { c.PermissionType = 1 }),
		with(func(c *kmsg.CreateACLsRequestCreation) { c.Principal = "alice" }),
		sound, sound,
	}
	resp := request[*kmsg.CreateACLsResponse](t, newClient(t, n), 3, req)
	for i, r := range resp.Results {
		want := kerr.InvalidRequest.Code
		if i >= 7 {
			want = 0
		}
		if r.ErrorCode != want || r.ErrorMessage == nil || (*r.ErrorMessage == "") != (want == 0) {
			t.Errorf("entry %d: %+v", i, r)
		}
	}
	if got := n.meta.Image().ACLIndex().Len(); got != 1 {
		t.Errorf("%d entries, want 1", got)
	}
	unknown := kmsg.NewPtrCreateACLsRequest()
	unknown.Creations = []kmsg.CreateACLsRequestCreation{with(func(c *kmsg.CreateACLsRequestCreation) { c.Operation = 0 })}
	raw := dial(t, n)
	raw.send(frameOf(3, 1, unknown))
	if _, err := io.ReadAll(raw); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("the connection was not closed: %v", err)
	}
}

func TestACLsNeedAnAuthorizer(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	rules := authorizationRules(t)
	for _, key := range []kmsg.Key{kmsg.DescribeACLs, kmsg.CreateACLs, kmsg.DeleteACLs} {
		rule := rules[int16(key)]
		if got := errorCodesIn(t, dial(t, n).exchange(comparedStep{version: rule.version, req: rule.req})); !slices.Contains(got, kerr.SecurityDisabled.Code) {
			t.Errorf("%s: %v", key.Name(), got)
		}
	}
}
