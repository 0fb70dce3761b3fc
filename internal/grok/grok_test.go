package grok

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestEveryPatternCompiles(t *testing.T) {
	for name, lib := range map[string]*Library{"ecs": ECS(), "legacy": Legacy()} {
		if n := len(lib.Names()); n < 310 {
			t.Errorf("%s has only %d patterns", name, n)
		}
		for _, pattern := range lib.Names() {
			if _, err := lib.Compile("%{" + pattern + "}"); err != nil {
				t.Errorf("%s: %s: %v", name, pattern, err)
			}
		}
	}
}

// captured matches and writes the captures as "name=value" joined by "|".
func captured(t *testing.T, lib *Library, pattern, text string) string {
	t.Helper()
	p, err := lib.Compile(pattern)
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	var out []string
	if !p.Match(text, func(f Field, v string) {
		suffix := [...]string{"", ":int", ":float", ":boolean"}[f.Type]
		out = append(out, f.Name+suffix+"="+v)
	}) {
		return "no match"
	}
	return strings.Join(out, "|")
}

func TestPublicPatterns(t *testing.T) {
	const access = `192.0.2.7 - ann [01/Mar/2026:13:55:36 +0100] "GET /cart/add?item=7#top HTTP/1.1" 503 2326 "https://shop.example/" "Mozilla/5.0 (X11)"`
	for _, tt := range []struct{ pattern, text, want string }{
		{`%{COMBINEDAPACHELOG}`, access, "source.address=192.0.2.7|user.name=ann|timestamp=01/Mar/2026:13:55:36 +0100|http.request.method=GET|url.original=/cart/add?item=7#top|url.path=/cart/add|url.query=item=7|url.fragment=top|http.version=1.1|http.response.status_code:int=503|http.response.body.bytes:int=2326|http.request.referrer=https://shop.example/|user_agent.original=Mozilla/5.0 (X11)"},
		{`%{COMMONAPACHELOG}`, `host.example - - [01/Mar/2026:13:55:36 +0100] "-" 408 -`, "source.address=host.example|timestamp=01/Mar/2026:13:55:36 +0100|http.response.status_code:int=408"},
		{`%{COMMONAPACHELOG}`, `2001:db8::1 - - [01/Mar/2026:13:55:36 +0100] "GET http://h.example/p HTTP/1.0" 200 5`, "source.address=2001:db8::1|timestamp=01/Mar/2026:13:55:36 +0100|http.request.method=GET|url.original=http://h.example/p|url.path=/p|http.version=1.0|http.response.status_code:int=200|http.response.body.bytes:int=5"},
		{`%{HTTPD_ERRORLOG}`, `[Sun Mar 01 10:00:00.123456 2026] [core:error] [pid 35:tid 140] [client 192.0.2.9:5000] AH00001: file missing`, "timestamp=Sun Mar 01 10:00:00.123456 2026|apache.error.module=core|log.level=error|process.pid:int=35|process.thread.id:int=140|source.address=192.0.2.9|source.port:int=5000|error.code=AH00001|message=file missing"},
		{`%{SYSLOGLINE}`, `Mar  1 06:25:01 web-1 cron[812]: (root) CMD (run-parts)`, "timestamp=Mar  1 06:25:01|host.hostname=web-1|process.name=cron|process.pid:int=812|message=(root) CMD (run-parts)"},
		{`%{SYSLOG5424LINE}`, `<165>1 2026-03-01T10:00:00.003Z host app 811 ID47 [x@1 a="b"] hello`, `log.syslog.priority:int=165|system.syslog.version=1|timestamp=2026-03-01T10:00:00.003Z|host.hostname=host|process.name=app|process.pid:int=811|event.code=ID47|system.syslog.structured_data=[x@1 a="b"]|message=hello`},
		{`%{SYSLOGPAMSESSION}`, `Mar  1 06:25:01 web su[9]: pam_unix(su:session): session opened for user root by ann(uid=0)`, "timestamp=Mar  1 06:25:01|host.hostname=web|process.name=su|process.pid:int=9|message=pam_unix(su:session): session opened for user root by ann(uid=0)|system.auth.pam.module=pam_unix|system.auth.pam.origin=su:session|system.auth.pam.session_state=opened|user.name=root"},
		{`%{TIMESTAMP_ISO8601:t} %{LOGLEVEL:l}`, `x 2026-03-01T10:00:00,123+01:00 WARN y`, "t=2026-03-01T10:00:00,123+01:00|l=WARN"},
		{`%{REDISLOG}`, `[4018] 01 Mar 10:00:00 * ready`, "process.pid:int=4018|timestamp=01 Mar 10:00:00"},
		{`%{QS:q} %{URI:u} %{UUID:id} %{MAC:m}`, `"a \"b\"" http://u:p@h.example:80/x?y=1 123e4567-e89b-12d3-a456-426614174000 00:1b:44:11:3a:b7`, `q="a \"b\""|u=http://u:p@h.example:80/x?y=1|id=123e4567-e89b-12d3-a456-426614174000|m=00:1b:44:11:3a:b7`},
		{`%{UNIXPATH:p}`, `open /var/log/größe.log`, "p=/var/log/größe.log"},
		{`%{NUMBER:n:float} %{INT:i:int}`, `took 1.5 -3`, "n:float=1.5|i:int=-3"},
		{`%{EMAILADDRESS:e}`, `to <ann.b+c@mail.example>`, "e=ann.b+c@mail.example"},
		{`%{MONTH:m}`, `März`, "m=März"},
		{`%{IP:a} (?<b>x+) %{DATA:[c][d]}$`, `::ffff:1.2.3.4 xx rest`, "a=::ffff:1.2.3.4|b=xx|c.d=rest"},
		{`%{MONGO_SLOWQUERY}`, `query db.users ntoreturn: { a: 1 } ntoreturn:10 ntoskip:0 nscanned:5 nreturned:5 12ms`, "mongodb.profile.op=query|mongodb.database=db|mongodb.collection=users|mongodb.query.original={ a: 1 }|mongodb.profile.ntoreturn:int=10|mongodb.profile.ntoskip:int=0|mongodb.profile.nscanned:int=5|mongodb.profile.nreturned:int=5|mongodb.profile.duration:int=12"},
		{`%{SQUID3}`, `1525334330.556 3 192.0.2.1 TCP_HIT/200 943 GET http://e.example/x ann HIER_NONE/- text/html`, "timestamp=1525334330.556|squid.request.duration:int=3|source.ip=192.0.2.1|event.action=TCP_HIT|http.response.status_code:int=200|http.response.bytes:int=943|http.request.method=GET|url.original=http://e.example/x|user.name=ann|squid.hierarchy_code=HIER_NONE|http.response.mime_type=text/html"},
		{`%{WORD:a}-%{WORD:a}`, "x-y", "a=x|a=y"},
		{`%{WORD}`, "", "no match"},
	} {
		if got := captured(t, ECS(), tt.pattern, tt.text); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.pattern, got, tt.want)
		}
	}
	want := "clientip=192.0.2.7|ident=-|auth=ann|timestamp=01/Mar/2026:13:55:36 +0100|verb=GET|request=/cart/add?item=7#top|httpversion=1.1|response=503|bytes=2326|referrer=\"https://shop.example/\"|agent=\"Mozilla/5.0 (X11)\""
	if got := captured(t, Legacy(), `%{COMBINEDAPACHELOG}`, access); got != want {
		t.Errorf("legacy:\n got %s\nwant %s", got, want)
	}
}

func TestOnigurumaSyntax(t *testing.T) {
	for _, tt := range []struct{ pattern, text, want string }{
		{`(?>(?<x>\h+))`, "zz beef", "x=beef"},
		{`(?<x>[a-z]++)\d*+`, "abc12", "x=abc"},
		{`(?<x>[[[:alpha:]]_-]+)`, "12 a_b-c", "x=a_b-c"},
		{`(?<x>[]a]+)`, "x]a", "x=]a"},
		{`(?#note)(?<x>a)`, "a", "x=a"},
		{`(?<x>^b.*)$`, "a\nbc\nd", "x=bc"},
		{`(?m)(?<x>a.b)`, "a\nb", "x=a\nb"},
		{`(?i:(?<x>abc))`, "xABC", "x=ABC"},
		{`(a)(?<x>b)`, "ab", "x=b"},
		{`(?<x>b)\Z`, "ab\n", "x=b"},
		{`(?<[a][b]>c)`, "c", "a.b=c"},
		{`\[(?<x>[^\]]+)\]`, "[v]", "x=v"},
		{`a\_(?<x>b)`, "a_b", "x=b"},
		{`(?<x>.+?)+\.`, "ab.", "x=b"},
	} {
		if got := captured(t, ECS(), tt.pattern, tt.text); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.pattern, got, tt.want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	lib, err := ECS().With(map[string]string{"LOOP": "%{LOOP2}", "LOOP2": "%{LOOP}", "BROKEN": `a(\1)`})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		pattern string
		offset  int
		msg     string
	}{
		{`a %{NOSUCH}`, 2, `no pattern "NOSUCH"`},
		{`%{ip}`, 0, "did you mean IP?"},
		{`%{IP`, 0, "without }"},
		{`%{IP:a:strange}`, 0, `no type "strange"`},
		{`%{IP:a..b}`, 0, "not the name of a field"},
		{`(x)\1`, 3, "refers back"},
		{`%{LOOP}`, 0, "contains itself"},
		{`%{BROKEN}`, 0, "in the pattern BROKEN"},
		{`(?<=ab)c`, 0, "one character only"},
		{`(a`, 0, "missing closing"},
		{`a**`, 0, "invalid nested"},
		{`[a`, 0, "without ]"},
		{`a{2000}`, 0, "repeat"},
		{`(?x)a`, 0, "flag"},
		{`[a&&[b]]`, 2, "intersection"},
		{`x\`, 1, "backslash"},
	} {
		_, err := lib.Compile(tt.pattern)
		var ge *Error
		if !errors.As(err, &ge) || !strings.Contains(ge.Msg, tt.msg) || ge.Offset != tt.offset {
			t.Errorf("%s: got %#v, want offset %d, %s", tt.pattern, err, tt.offset, tt.msg)
		}
	}
	if _, err := ECS().With(map[string]string{"a-b": "x"}); err == nil {
		t.Error("a name with a hyphen was taken")
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`%{IP:a}`, `(?<x>[[a]b]+)`, `(?<!a)b`, `a++(?>b)`, `(?m-i:x)`, `[^]]`} {
		f.Add(s, "some text 1.2.3.4")
	}
	lib := ECS()
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := lib.Compile(pattern)
		if err != nil {
			return
		}
		p.Match(strings.ToValidUTF8(text, "?"), func(field Field, value string) {
			if field.Name == "" || !strings.Contains(text, value) && strings.ToValidUTF8(text, "?") == text {
				t.Errorf("%q: field %q has %q, which is not in the text", pattern, field.Name, value)
			}
		})
	})
}

func ExampleLibrary_Compile() {
	p, err := ECS().Compile(`%{IP:source.ip} took %{NUMBER:event.duration:float}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	p.Match("client 192.0.2.1 took 1.5 s", func(f Field, value string) { fmt.Println(f.Name, value) })
	// Output:
	// source.ip 192.0.2.1
	// event.duration 1.5
}
