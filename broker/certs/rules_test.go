package certs

import (
	"errors"
	"testing"
)

// The rules and names are those of Kafka's SslPrincipalMapperTest.
func TestRules(t *testing.T) {
	const rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L, " +
		"RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, " +
		"RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U, " +
		"RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U, " +
		"DEFAULT"
	for _, test := range []struct{ rules, name, want string }{
		{"", "CN=a,O=b", "CN=a,O=b"},
		{"DEFAULT", "CN=a,O=b", "CN=a,O=b"},
		{rules, "CN=Duke,OU=ServiceUsers,O=Org,C=US", "duke"},
		{rules, "CN=Duke,OU=SME,O=mycp,L=Fulton,ST=MD,C=US", "duke@sme"},
		{rules, "cn=duke,ou=sme,dc=mycp,dc=com", "DUKE@SME"},
		{rules, "DN=duke,OU=JavaSoft,O=Sun Microsystems", "DN=duke,OU=JavaSoft,O=Sun Microsystems"},
		{rules, "cN=duKe,OU=JavaSoft,O=Sun Microsystems", "DUKE"},
		{`RULE:^CN=([^,ADEFLU,]+)(,.*|$)/$1/`, "CN=JOBOT,O=x", "JOBOT"},
		{`RULE:^CN=([^,]+)(,.*|$)/$1$3$12/`, "CN=a,O=b", "a$3a2"},
		{`RULE:^CN=(.*)\/(.*)$/\$$1\/$2 ${x}/`, "CN=a/b", "$a/b ${x}"},
		{`RULE:^(CN)=(.*)$/$2/,RULE:.*/other/`, "O=b", "other"},
	} {
		r, err := ParseRules(test.rules)
		if err != nil {
			t.Errorf("%s: %v", test.rules, err)
			continue
		}
		if got, err := r.Apply(test.name); err != nil || got != test.want {
			t.Errorf("%s of %q: %q, %v, want %q", test.rules, test.name, got, err, test.want)
		}
	}
	r, err := ParseRules("RULE:^CN=x$/x/")
	if err != nil {
		t.Fatal(err)
	}
	if name, err := r.Apply("CN=y"); !errors.Is(err, ErrNoRule) {
		t.Errorf("no rule applies, but %q, %v", name, err)
	}
	for _, broken := range []string{"default", "DEFAUL", "DEFAULT/L", "DEFAULT/U", "RULE:CN=(.*?),OU=ServiceUsers.*/$1", "rule:^CN=(.*?),OU=ServiceUsers.*$/$1/", "RULE:^CN=(.*?$/$1/L/U", "RULE:(/x/", "RULE:a/b/LU", "RULE:a/b/X"} {
		if _, err := ParseRules(broken); err == nil {
			t.Errorf("%q is taken", broken)
		}
	}
}
