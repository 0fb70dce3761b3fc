package certs

import (
	"encoding/asn1"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/test/peers"
)

type testAttribute struct {
	oid   string
	tag   int
	value string
}

// subject builds the DER of a name: sets of attributes.
func subject(t testing.TB, sets ...[]testAttribute) []byte {
	t.Helper()
	var out []relativeSET
	for _, set := range sets {
		var attributes relativeSET
		for _, a := range set {
			var oid asn1.ObjectIdentifier
			for part := range strings.SplitSeq(a.oid, ".") {
				n := 0
				for _, c := range part {
					n = 10*n + int(c-'0')
				}
				oid = append(oid, n)
			}
			attributes = append(attributes, attribute{Type: oid, Value: asn1.RawValue{Tag: a.tag, Bytes: []byte(a.value)}})
		}
		out = append(out, attributes)
	}
	der, err := asn1.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

const (
	utf8Tag      = asn1.TagUTF8String
	printableTag = asn1.TagPrintableString
)

func names(t testing.TB) map[string][]byte {
	cn := func(tag int, value string) []byte {
		return subject(t, []testAttribute{{"2.5.4.3", tag, value}})
	}
	return map[string][]byte{
		"CN=client,OU=Test,O=Example,L=Town,ST=State,C=DE": subject(t,
			[]testAttribute{{"2.5.4.6", printableTag, "DE"}}, []testAttribute{{"2.5.4.8", utf8Tag, "State"}}, []testAttribute{{"2.5.4.7", utf8Tag, "Town"}},
			[]testAttribute{{"2.5.4.10", utf8Tag, "Example"}}, []testAttribute{{"2.5.4.11", utf8Tag, "Test"}}, []testAttribute{{"2.5.4.3", utf8Tag, "client"}}),
		`CN=a\,b\=c\+d\"e\\f\<g\>h\;i\#j`: cn(utf8Tag, `a,b=c+d"e\f<g>h;i#j`),
		`CN=\ \ both ends\ `:              cn(utf8Tag, "  both ends "),
		`CN=\#first`:                      cn(utf8Tag, "#first"),
		"CN=ünïcode 日本":                   cn(utf8Tag, "ünïcode 日本"),
		"CN=ia5@example":                  cn(asn1.TagIA5String, "ia5@example"),
		"CN=":                             cn(utf8Tag, ""),
		"CN=one+UID=two,DC=example,DC=org": subject(t,
			[]testAttribute{{"0.9.2342.19200300.100.1.25", asn1.TagIA5String, "org"}}, []testAttribute{{"0.9.2342.19200300.100.1.25", asn1.TagIA5String, "example"}},
			[]testAttribute{{"2.5.4.3", utf8Tag, "one"}, {"0.9.2342.19200300.100.1.1", utf8Tag, "two"}}),
		"1.2.840.113549.1.9.1=#160b6140622e6578616d706c65,CN=mail": subject(t,
			[]testAttribute{{"2.5.4.3", utf8Tag, "mail"}}, []testAttribute{{"1.2.840.113549.1.9.1", asn1.TagIA5String, "a@b.example"}}),
		"2.5.4.5=#130431323334,STREET=Road 1": subject(t,
			[]testAttribute{{"2.5.4.9", utf8Tag, "Road 1"}}, []testAttribute{{"2.5.4.5", printableTag, "1234"}}),
		"": subject(t),
	}
}

func TestDistinguishedNames(t *testing.T) {
	for want, der := range names(t) {
		if got, err := DistinguishedName(der); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	// Java reads this old kind of string wrongly, so it is not compared with it.
	wide := subject(t, []testAttribute{{"2.5.4.3", asn1.TagBMPString, "\x00w\x00i\x00d\x00e\x00 \x00\xfc"}})
	if got, err := DistinguishedName(wide); err != nil || got != "CN=wide ü" {
		t.Errorf("%q, %v", got, err)
	}
	for _, broken := range []string{"", "\x30", "\x30\x02\x31\x00\x00", "\x31\x00", "\x30\x03\x31\x01\x00"} {
		if got, err := DistinguishedName([]byte(broken)); err == nil {
			t.Errorf("%q gives %q", broken, got)
		}
	}
}

// TestDistinguishedNamesAreJavas asks a Java machine for the same names.
func TestDistinguishedNamesAreJavas(t *testing.T) {
	java, err := exec.LookPath("java")
	if err != nil {
		peers.Missing(t, "java: apt-get install default-jdk-headless")
	}
	const source = `import java.util.Base64;
import javax.security.auth.x500.X500Principal;

public class Names {
	public static void main(String[] args) throws Exception {
		var out = new java.io.PrintStream(System.out, true, "UTF-8");
		for (String der : args) out.println(new X500Principal(Base64.getDecoder().decode(der)).getName());
	}
}
`
	file := filepath.Join(t.TempDir(), "Names.java")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	args, want := []string{file}, []string{}
	for name, der := range names(t) {
		args, want = append(args, base64.StdEncoding.EncodeToString(der)), append(want, name)
	}
	out, err := exec.CommandContext(t.Context(), java, args...).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i, got := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if got != want[i] {
			t.Errorf("Java says %q, we %q", got, want[i])
		}
	}
}

// FuzzDistinguishedName: a certificate's subject comes from a client.
func FuzzDistinguishedName(f *testing.F) {
	for _, der := range names(f) {
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		name, err := DistinguishedName(der)
		if err != nil && name != "" {
			t.Errorf("%q with %v", name, err)
		}
	})
}
