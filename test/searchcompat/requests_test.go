package searchcompat

// request is one request of the suite.
type request struct {
	method, path, body string
	// text compares an answer that is no JSON.
	text bool
}

// setup fills both servers. Its answers are compared too.
func setup() []request {
	return []request{
		{method: "PUT", path: "/_index_template/logs", body: fixedMapping},
		{method: "POST", path: "/_bulk?refresh=true", body: bulk("logs-a", 1, documents)},
		{method: "POST", path: "/_bulk?refresh=wait_for", body: bulk("logs-b", 2, documents/2)},
		{method: "GET", path: "/logs-a/_mapping"},
	}
}

// writes are requests that change documents; they run in their order.
func writes() []request {
	return []request{
		{method: "PUT", path: "/w/_doc/1?refresh=true", body: `{"m":"Hello World foo_bar","n":5,"f":1.5,"b":true,"d":"2024-01-02T03:04:05Z","d3":"2024-01","d4":"10:20:30","o":{"x":"y","z":[1,2]},"num":"2024","nul":null,"e":[],"a.b.c":1,"em":{}}`},
		{method: "GET", path: "/w/_mapping"},
		{method: "GET", path: "/w/_doc/1"},
		{method: "GET", path: "/w/_source/1"},
		{method: "GET", path: "/w/_doc/1?_source=m,o.x"},
		{method: "HEAD", path: "/w/_doc/1"},
		{method: "HEAD", path: "/w/_doc/2"},
		{method: "PUT", path: "/w/_create/1", body: `{"m":"x"}`},
		{method: "PUT", path: "/w/_doc/1?op_type=create", body: `{"m":"x"}`},
		{method: "PUT", path: "/w/_doc/1", body: `{"m":"second","n":6}`},
		{method: "GET", path: "/w/_doc/1"},
		{method: "PUT", path: "/w/_doc/2", body: `{"n":"abc"}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"n":{"x":1}}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"n":1`},
		{method: "PUT", path: "/w/_doc/2", body: `{"o":"str"}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"d":"bad"}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"b":"bad"}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"n":1,"n":2}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"":2}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"a..b":2}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"_id":2}`},
		{method: "PUT", path: "/w/_doc/2", body: `{"big":99999999999999999999}`},
		{method: "GET", path: "/w/_mapping"},
		{method: "PUT", path: "/w/_doc/2?refresh=true", body: `{"n":1.7,"f":"2.5","b":"true","m":12.50,"d":1700000000000}`},
		{method: "PUT", path: "/w/_doc/3", body: ``},
		{method: "DELETE", path: "/w/_doc/2"},
		{method: "DELETE", path: "/w/_doc/2"},
		{method: "PUT", path: "/w/_doc/2", body: `{"n":2}`},
		{method: "DELETE", path: "/nope/_doc/2"},
		{method: "POST", path: "/_bulk", body: `{"create":{"_index":"w","_id":"1"}}
{"m":"x"}
{"index":{"_index":"w","_id":"7"}}
{"n":"zz"}
{"index":{"_index":"W2","_id":"7"}}
{"n":1}
{"delete":{"_index":"w","_id":"77"}}
{"index":{"_index":"w","_id":"8"}}
{"n":8}
{"create":{"_index":"w","_id":"8"}}
{"n":9}
{"index":{"_index":"w","_id":"8"}}
{"n":10}
{"delete":{"_index":"w","_id":"8"}}
`},
		{method: "POST", path: "/w/_bulk?refresh=true", body: "{\"index\":{\"_id\":\"9\"}}\n{\"n\":9}\r\n\n{\"index\":{\"_id\":10}}\n{\"n\":10}\n"},
		{method: "POST", path: "/_bulk", body: "{\"foo\":{\"_index\":\"w\"}}\n{}\n"},
		{method: "POST", path: "/_bulk", body: "{\"index\":{\"_index\":\"w\"}}\n{}"},
		{method: "POST", path: "/_bulk", body: "{\"index\":{\"_id\":\"1\"}}\n{}\n"},
		{method: "POST", path: "/_bulk", body: "{\"index\":{\"_index\":\"w\",\"foo\":\"1\"}}\n{}\n"},
		{method: "POST", path: "/_bulk", body: "{\"delete\":{\"_index\":\"w\"}}\n"},
		{method: "POST", path: "/_bulk", body: ""},
		{method: "GET", path: "/w/_search", body: `{"sort":[{"n":"asc"}],"version":true,"seq_no_primary_term":true}`},
		{method: "PUT", path: "/m1", body: `{"mappings":{"dynamic":"strict","properties":{"a":{"type":"keyword"},"free":{"type":"object","dynamic":true},"off":{"type":"object","enabled":false}}}}`},
		{method: "PUT", path: "/m1/_doc/1", body: `{"a":"x","free":{"b":1},"off":{"c":{"d":[1,"x"]}}}`},
		{method: "PUT", path: "/m1/_doc/2", body: `{"b":"x"}`},
		{method: "GET", path: "/m1/_mapping"},
		{method: "PUT", path: "/m1/_mapping", body: `{"properties":{"a":{"type":"long"}}}`},
		{method: "PUT", path: "/m1/_mapping", body: `{"properties":{"b":{"type":"long"},"c":{"properties":{"d":{"type":"date"}}}}}`},
		{method: "GET", path: "/m1/_mapping"},
		{method: "PUT", path: "/m2", body: `{"mappings":{"dynamic":false,"properties":{"i":{"type":"integer"},"s":{"type":"short"},"f":{"type":"float"},"h":{"type":"half_float"}}}}`},
		{method: "PUT", path: "/m2/_doc/1?refresh=true", body: `{"i":"5","s":7,"f":1.1,"h":3.14159,"other":"x"}`},
		{method: "PUT", path: "/m2/_doc/2", body: `{"i":3000000000}`},
		{method: "PUT", path: "/m2/_doc/2", body: `{"s":40000}`},
		{method: "GET", path: "/m2/_search", body: `{"query":{"term":{"f":1.1}},"aggs":{"f":{"max":{"field":"f"}},"h":{"max":{"field":"h"}},"t":{"terms":{"field":"f"}}}}`},
		{method: "GET", path: "/m2/_mapping"},
		{method: "PUT", path: "/labels-1/_doc/1?refresh=true", body: `{"labels":{"a":"x y"}}`},
	}
}

// admin are requests about indices, templates and the like.
func admin() []request {
	return []request{
		{method: "PUT", path: "/w"},
		{method: "PUT", path: "/Abc"},
		{method: "PUT", path: "/a,b"},
		{method: "PUT", path: "/+abc"},
		{method: "PUT", path: "/bad", body: `{"mappings":{"properties":{"a":{"type":"foo"}}}}`},
		{method: "PUT", path: "/bad", body: `{"mappings":{"properties":{"a":{"type":"keyword","xx":1}}}}`},
		{method: "PUT", path: "/bad", body: `{"foo":{}}`},
		{method: "HEAD", path: "/w"},
		{method: "HEAD", path: "/bad"},
		{method: "DELETE", path: "/bad"},
		{method: "DELETE", path: "/bad?ignore_unavailable=true"},
		{method: "GET", path: "/nope/_mapping"},
		{method: "GET", path: "/nope*/_mapping"},
		{method: "POST", path: "/w/_mapping"},
		{method: "PUT", path: "/_index_template/x", body: `{"index_patterns":["lg-*"],"priority":5,"template":{"mappings":{"properties":{"a":{"type":"keyword"}}}},"_meta":{"x":1},"version":3}`},
		{method: "GET", path: "/_index_template/x"},
		{method: "HEAD", path: "/_index_template/x"},
		{method: "PUT", path: "/_index_template/x?create=true", body: `{"index_patterns":["lg-*"]}`},
		{method: "PUT", path: "/_index_template/x2", body: `{"index_patterns":["lg-b*"],"priority":5}`},
		{method: "PUT", path: "/_index_template/x3", body: `{"index_patterns":["lg-b*"],"priority":6,"template":{"mappings":{"properties":{"a":{"type":"long"}}}}}`},
		{method: "PUT", path: "/lg-b1/_doc/1", body: `{"a":5}`},
		{method: "PUT", path: "/lg-c1/_doc/1", body: `{"a":5}`},
		{method: "GET", path: "/lg-*/_mapping"},
		{method: "DELETE", path: "/_index_template/x"},
		{method: "DELETE", path: "/_index_template/x3"},
		{method: "GET", path: "/_index_template/x"},
		{method: "DELETE", path: "/_index_template/x"},
		{method: "HEAD", path: "/_index_template/x"},
		{method: "PUT", path: "/_index_template/y", body: `{"priority":5}`},
		{method: "PUT", path: "/_index_template/y", body: `{"index_patterns":["zz*"],"foo":1}`},
		{method: "PUT", path: "/_index_template/y", body: `{"index_patterns":["zz*"],"composed_of":["nope"]}`},
		{method: "PUT", path: "/_index_template/y", body: `{"index_patterns":["zz*"],"template":{"mappings":{"properties":{"a":{"type":"foo"}}}}}`},
		{method: "GET", path: "/_cat/indices/logs-*?h=index,docs.count&s=index", text: true},
		{method: "GET", path: "/_cat/indices/logs-*?h=index,docs.count&s=index:desc&v", text: true},
		{method: "GET", path: "/_cat/indices/logs-*?h=index,docs.count&s=index&format=json"},
		{method: "GET", path: "/_cat/count/logs-*?h=count", text: true},
		{method: "GET", path: "/_cat/count/logs-a?h=count&v", text: true},
		{method: "GET", path: "/_cat/indices/nope"},
		{method: "GET", path: "/_cat/indices/nope*", text: true},
		{method: "GET", path: "/logs-a/_field_caps?fields=log*,mess*,bytes,nope"},
		{method: "POST", path: "/logs-a/_refresh"},
		{method: "POST", path: "/nope/_refresh"},
		{method: "DELETE", path: "/_search"},
		{method: "POST", path: "/_msearch", body: "{\"index\":\"logs-a\"}\n{\"query\":{\"term\":{\"ok\":true}},\"size\":0}\n{\"index\":\"nope\"}\n{}\n{\"index\":[\"logs-a\"]}\n{\"size\":0,\"query\":{\"term\":{\"bytes\":\"x\"}}}\n"},
		{method: "POST", path: "/_msearch", body: "{}\n{\"query\":{\"foo\":{}}}\n"},
		{method: "POST", path: "/_msearch", body: ""},
		{method: "DELETE", path: "/lg-b1,lg-c1"},
		{method: "DELETE", path: "/w"},
		{method: "GET", path: "/w/_search"},
		{method: "DELETE", path: "/m1"},
		{method: "DELETE", path: "/m2"},
		{method: "DELETE", path: "/labels-1"},
	}
}

// searches are bodies of searches over logs-a, sorted by seq.
func searches() []string {
	var list []string
	for _, q := range queries() {
		list = append(list, `{"size":20,"query":`+q+`,"sort":["seq"],"_source":["seq"]}`)
	}
	for _, text := range queryStrings() {
		list = append(list, `{"size":20,"query":{"query_string":{"query":`+quote(text)+`}},"sort":["seq"],"_source":["seq"]}`,
			`{"size":20,"query":{"query_string":{"query":`+quote(text)+`,"default_operator":"AND","fields":["message","tags^2"]}},"sort":["seq"],"_source":["seq"]}`)
	}
	for _, a := range aggregations() {
		list = append(list, `{"size":0,"track_total_hits":true,"query":{"range":{"seq":{"lt":400}}},"aggs":`+a+`}`)
	}
	return append(list, others()...)
}

func queries() []string {
	return []string{
		`{"match_all":{}}`, `{"match_none":{}}`, `{"match_all":{"boost":2}}`,
		`{"term":{"log.level":"ERROR"}}`, `{"term":{"log.level":"error"}}`, `{"term":{"log.level":{"value":"error","case_insensitive":true}}}`,
		`{"term":{"message":"error"}}`, `{"term":{"message":"Timeout"}}`, `{"term":{"message":"a_b"}}`, `{"term":{"message.raw":"error"}}`,
		`{"term":{"bytes":"100"}}`, `{"term":{"bytes":100.5}}`, `{"term":{"ok":true}}`, `{"term":{"ok":"false"}}`, `{"term":{"ok":"x"}}`, `{"term":{"bytes":"x"}}`,
		`{"term":{"client.ip":"10.0.0.7"}}`, `{"term":{"client.ip":"10.1.0.0/16"}}`, `{"term":{"client.ip":"x"}}`, `{"term":{"nope":"x"}}`, `{"term":{"code":404}}`,
		`{"term":{"@timestamp":"2024-02-01"}}`, `{"term":{"ratio":12.5}}`, `{"term":{"codes":3}}`, `{"term":{"_id":"file-0:300"}}`,
		`{"terms":{"log.level":["ERROR","debug"]}}`, `{"terms":{"code":[200,500,1,2,3,4]}}`, `{"terms":{"message":["timeout","login"]}}`, `{"terms":{"tags":[]}}`, `{"terms":{"tags":["t","x"]}}`, `{"terms":{"_id":["file-0:300","x"]}}`,
		`{"terms":{"client.ip":["10.0.0.1","10.1.0.0/24"]}}`, `{"terms":{"@timestamp":["2024-02-01","2024-02-03"]}}`,
		`{"range":{"bytes":{"gte":100,"lt":300}}}`, `{"range":{"bytes":{"gt":"99.5","lte":1000.5}}}`, `{"range":{"bytes":{"gte":null,"lt":50}}}`, `{"range":{"ratio":{"gt":12.5,"lte":13}}}`, `{"range":{"bytes":{"gte":1e30}}}`, `{"range":{"bytes":{"lte":1e30}}}`,
		`{"range":{"@timestamp":{"gte":"2024-02-01","lte":"2024-02-02"}}}`, `{"range":{"@timestamp":{"gt":"2024-02-01","lt":"2024-02-03"}}}`, `{"range":{"@timestamp":{"gte":"2024-02-01||-1d/d","lt":"2024-02-01||+1d/M"}}}`,
		`{"range":{"@timestamp":{"gte":"2024-02-01T10:00:00","lt":"2024-02-01T20:00","time_zone":"+03:00"}}}`, `{"range":{"@timestamp":{"gte":"01/02/2024","format":"dd/MM/yyyy"}}}`,
		`{"range":{"@timestamp":{"gte":1706800000000}}}`, `{"range":{"@timestamp":{"gte":"abc"}}}`, `{"range":{"@timestamp":{"lt":"now-1d/d"}}}`, `{"range":{"@timestamp":{"gt":"2024-02||/M"}}}`, `{"range":{"@timestamp":{"lte":"2024-02-01||/d"}}}`,
		`{"range":{"log.level":{"gte":"E","lt":"J"}}}`, `{"range":{"message":{"gte":"t","lt":"v"}}}`, `{"range":{"client.ip":{"gte":"10.0.0.5","lt":"10.1.0.3"}}}`, `{"range":{"bytes":{"foo":1}}}`, `{"range":{"nope":{"gte":1}}}`, `{"range":{"bytes":{}}}`, `{"range":{"ok":{"gte":true}}}`,
		`{"exists":{"field":"code"}}`, `{"exists":{"field":"client"}}`, `{"exists":{"field":"message"}}`, `{"exists":{"field":"note"}}`, `{"exists":{"field":"message.raw"}}`, `{"exists":{"field":"nope"}}`, `{"exists":{"field":"cl*"}}`, `{"exists":{"field":""}}`, `{"exists":{}}`, `{"exists":{"field":"codes"}}`,
		`{"prefix":{"host.name":"host-"}}`, `{"prefix":{"message":"conn"}}`, `{"prefix":{"message":"Conn"}}`, `{"prefix":{"log.level":{"value":"e","case_insensitive":true}}}`, `{"prefix":{"bytes":"1"}}`,
		`{"wildcard":{"log.level":"*R*"}}`, `{"wildcard":{"message":"*out"}}`, `{"wildcard":{"message":"*Out"}}`, `{"wildcard":{"message.raw":"*login*"}}`, `{"wildcard":{"log.level":"?NFO"}}`, `{"wildcard":{"log.level":{"value":"ERR*","case_insensitive":true}}}`, `{"wildcard":{"tags":"*\\**"}}`, `{"wildcard":{"bytes":"1*"}}`,
		`{"match":{"message":"Error TIMEOUT"}}`, `{"match":{"message":{"query":"error timeout","operator":"and"}}}`, `{"match":{"message":{"query":"error timeout login user","minimum_should_match":2}}}`, `{"match":{"message":{"query":"error timeout login user","minimum_should_match":"75%"}}}`,
		`{"match":{"message":"foo.bar x-y"}}`, `{"match":{"message":"日本"}}`, `{"match":{"message":"STRASSE straße ÜBER"}}`, `{"match":{"message":"--"}}`, `{"match":{"message":{"query":"--","zero_terms_query":"all"}}}`, `{"match":{"log.level":"ERROR"}}`, `{"match":{"bytes":"7"}}`, `{"match":{"bytes":"abc"}}`, `{"match":{"bytes":{"query":"abc","lenient":true}}}`, `{"match":{"nope":"x"}}`, `{"match":{"message":{"query":"x","foo":1}}}`,
		`{"match_phrase":{"message":"connection refused"}}`, `{"match_phrase":{"message":"error"}}`, `{"match_phrase":{"message":"user login failed"}}`, `{"match_phrase":{"message":"x y"}}`, `{"match_phrase":{"log.level":"INFO"}}`, `{"match_phrase":{"message":{"query":"key value"}}}`,
		`{"multi_match":{"query":"error","fields":["message","tags"]}}`, `{"multi_match":{"query":"host-1","fields":["host*"]}}`, `{"multi_match":{"query":"error timeout","fields":["message"],"operator":"and"}}`,
		`{"ids":{"values":["file-0:300","file-1:100","nope"]}}`, `{"ids":{"values":[]}}`,
		`{"constant_score":{"filter":{"term":{"ok":true}}}}`, `{"constant_score":{}}`,
		`{"bool":{}}`, `{"bool":{"must":[]}}`, `{"bool":{"must":{"term":{"ok":true}},"must_not":{"term":{"log.level":"ERROR"}},"filter":[{"range":{"bytes":{"gt":1000}}}]}}`,
		`{"bool":{"should":[{"term":{"ok":true}},{"term":{"code":500}}]}}`, `{"bool":{"should":[{"term":{"ok":true}},{"term":{"code":500}}],"filter":{"term":{"log.level":"INFO"}}}}`, `{"bool":{"should":[{"term":{"ok":true}},{"term":{"code":500}}],"minimum_should_match":2}}`,
		`{"bool":{"should":[{"term":{"ok":true}},{"term":{"code":500}},{"exists":{"field":"tags"}}],"minimum_should_match":"-1","filter":{"match_all":{}}}}`, `{"bool":{"should":[{"term":{"ok":true}}],"minimum_should_match":3}}`, `{"bool":{"must_not":[{"exists":{"field":"code"}}]}}`, `{"bool":{"must":{"term":{"ok":true}},"foo":[]}}`, `{"bool":{"must":[{"foo":{}}]}}`,
		`{"foo":{}}`, `{}`, `[]`, `{"term":{"ok":true,"code":1}}`, `{"term":{"code":[1,2]}}`, `{"term":{"code":{"value":1,"foo":2}}}`, `{"term":{}}`, `{"terms":{"code":5}}`, `{"term":"x"}`, `{"regexp":{"log.level":"E.*R"}}`, `{"regexp":{"message":"t[a-z]+t"}}`,
	}
}

func queryStrings() []string {
	return []string{
		"error", "Error", "error timeout", "error AND timeout", "error OR timeout", "error && timeout", "error || timeout", "NOT error", "!error", "-error", "+error -timeout", "error NOT timeout", "error AND NOT timeout",
		"error AND timeout OR login", "error OR timeout AND login", "(error OR timeout) AND login", "error (timeout login)", "error AND (timeout OR (login AND user))", "(NOT error) AND login", "error OR NOT login",
		"\"connection refused\"", "\"user login\" AND error", "message:error", "message:(error timeout)", "message:(error AND timeout)", "message:\"login failed\"", "log.level:ERROR", "log.level:(ERROR OR WARN)", "log.level:ERROR AND message:timeout",
		"err*", "ERR*", "*out", "t?meout", "message:err*", "log.level:E*", "log.level:*RR*", "nope:x", "_exists_:code", "NOT _exists_:code", "_exists_:client", "code:*", "*", "*:*", "message:*",
		"bytes:[100 TO 300]", "bytes:{100 TO 300}", "bytes:[100 TO 300}", "bytes:[* TO 50]", "bytes:[4000 TO *]", "bytes:>4000", "bytes:>=4000", "bytes:<50", "bytes:<=50", "bytes:(>=100 AND <200)", "bytes:100",
		"@timestamp:[2024-02-01 TO 2024-02-02]", "@timestamp:{2024-02-01 TO 2024-02-03}", "@timestamp:\"2024-02-01\"", "@timestamp:>2024-02-03", "@timestamp:[\"2024-02-01T10:00:00\" TO *]", "@timestamp:2024-02-01",
		"client.ip:10.0.0.7", "client.ip:\"10.1.0.0/16\"", "client.ip:[10.0.0.1 TO 10.0.0.9]", "ok:true", "code:500 OR code:404", "tags:t", "tags:\"foo.bar\"", "host.name:host-1", "host\\.name:host\\-1", "host.name:host\\-2 AND ok:true",
		"foo.bar", "x-y", "10.0.0.1", "blk_\\-123", "blk_-123", "key=value", "\\[main\\]", "it's", "1\\:2", "日本語", "über", "straße", "\\/index.html", "ok,done", "3.14", "200", "host*:host-1", "log.*:ERROR", "error^2 timeout", "\"user login\"^3",
		"", " ", "()", "(error", "error)", "AND error", "error AND", "a AND (", "\"abc", "[1 TO", "bytes:[1 TO 5", "error:", ":", "NOT", "-", "error -", "/abc", "\\", "bytes:x", "a:b:c", "log.level:", "message:(", "{}", "message:[t TO u]", "log.level:[E TO J]", "log.level:{* TO F}",
		"+error +login", "+error login", "error +login -user", "(error)(login)", "error\u3000login", "error\tlogin", "user  AND  login", "and", "not or", "message:error login", "login message:error failed", "NOT message:error NOT login",
	}
}

func aggregations() []string {
	return []string{
		`{"a":{"terms":{"field":"log.level"}}}`, `{"a":{"terms":{"field":"host.name","size":2}}}`, `{"a":{"terms":{"field":"tags","size":50}}}`, `{"a":{"terms":{"field":"code"}}}`, `{"a":{"terms":{"field":"ok"}}}`, `{"a":{"terms":{"field":"client.ip","size":5}}}`, `{"a":{"terms":{"field":"ratio","size":5}}}`, `{"a":{"terms":{"field":"@timestamp","size":3}}}`, `{"a":{"terms":{"field":"codes"}}}`,
		`{"a":{"terms":{"field":"log.level","order":{"_key":"asc"}}}}`, `{"a":{"terms":{"field":"log.level","order":{"_key":"desc"}}}}`, `{"a":{"terms":{"field":"log.level","order":{"_count":"asc"}}}}`, `{"a":{"terms":{"field":"host.name","order":{"m":"desc"}},"aggs":{"m":{"avg":{"field":"bytes"}}}}}`, `{"a":{"terms":{"field":"host.name","order":[{"m":"asc"},{"_key":"desc"}]},"aggs":{"m":{"max":{"field":"code"}}}}}`,
		`{"a":{"terms":{"field":"code","missing":0}}}`, `{"a":{"terms":{"field":"tags","missing":"none","size":100}}}`, `{"a":{"terms":{"field":"host.name","min_doc_count":82}}}`, `{"a":{"terms":{"field":"nope"}}}`, `{"a":{"terms":{"field":"message"}}}`, `{"a":{"terms":{"field":"message.raw","size":3,"order":{"_key":"asc"}}}}`, `{"a":{"terms":{"field":"note","size":3,"order":{"_key":"asc"}}}}`,
		`{"a":{"terms":{"field":"log.level","size":0}}}`, `{"a":{"terms":{"field":"log.level","order":{"nope":"asc"}}}}`, `{"a":{"terms":{"field":"log.level","foo":1}}}`, `{"a":{"terms":{}}}`, `{"a":{"foo":{}}}`, `{"a":{}}`, `{"a":{"avg":{"field":"bytes"},"aggs":{"b":{"max":{"field":"bytes"}}}}}`,
		`{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"12h"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d","time_zone":"+02:00"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","calendar_interval":"day","time_zone":"Europe/Berlin"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","calendar_interval":"month"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","calendar_interval":"1w"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","calendar_interval":"quarter"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","calendar_interval":"1y","min_doc_count":1}}}`,
		`{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"7m","min_doc_count":2}}}`, `{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d","min_doc_count":0,"extended_bounds":{"min":"2024-01-25","max":"2024-02-10"}}}}`, `{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d","extended_bounds":{"min":1706000000000,"max":1707500000000}},"aggs":{"l":{"terms":{"field":"log.level"},"aggs":{"b":{"avg":{"field":"bytes"}}}}}}}`,
		`{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d","offset":"+6h"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","calendar_interval":"1d","offset":"-6h"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d","keyed":true,"format":"yyyy-MM-dd"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d","order":{"_count":"desc"}}}}`, `{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d","order":{"_key":"desc"},"min_doc_count":1}}}`, `{"a":{"date_histogram":{"field":"nope","fixed_interval":"1d"}}}`, `{"a":{"date_histogram":{"field":"bytes","fixed_interval":"1s","min_doc_count":1}}}`,
		`{"a":{"date_histogram":{"field":"@timestamp","interval":"1d"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1M"}}}`, `{"a":{"date_histogram":{"field":"@timestamp"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","calendar_interval":"2d"}}}`, `{"a":{"date_histogram":{"field":"log.level","fixed_interval":"1d"}}}`, `{"a":{"date_histogram":{"field":"@timestamp","fixed_interval":"1ms"}}}`,
		`{"a":{"cardinality":{"field":"host.name"}},"b":{"cardinality":{"field":"bytes"}},"c":{"cardinality":{"field":"tags"}},"d":{"cardinality":{"field":"nope"}},"e":{"cardinality":{"field":"ok"}}}`,
		`{"a":{"min":{"field":"bytes"}},"b":{"max":{"field":"bytes"}},"c":{"avg":{"field":"bytes"}},"d":{"sum":{"field":"ratio"}},"e":{"value_count":{"field":"tags"}},"f":{"stats":{"field":"codes"}},"g":{"min":{"field":"@timestamp"}},"h":{"max":{"field":"@timestamp"}},"i":{"avg":{"field":"nope"}},"j":{"sum":{"field":"nope"}},"k":{"stats":{"field":"nope"}},"l":{"max":{"field":"code","missing":0}}}`,
		`{"a":{"avg":{"field":"log.level"}}}`, `{"a":{"avg":{}}}`, `{"a":{"max":{"field":"message"}}}`,
		`{"a":{"filter":{"term":{"ok":true}},"aggs":{"c":{"terms":{"field":"log.level"}}}}}`, `{"a":{"filters":{"filters":{"x":{"term":{"ok":true}},"y":{"match":{"message":"error"}}}},"aggs":{"m":{"max":{"field":"bytes"}}}}}`, `{"a":{"filters":{"filters":[{"term":{"ok":true}},{"match_all":{}}]}}}`, `{"a":{"missing":{"field":"code"}}}`,
		`{"a":{"terms":{"field":"host.name"},"aggs":{"t":{"date_histogram":{"field":"@timestamp","fixed_interval":"2d"},"aggs":{"l":{"terms":{"field":"log.level","size":1}},"c":{"cardinality":{"field":"bytes"}},"s":{"stats":{"field":"bytes"}}}}},"meta":{"k":"v"}}}`,
	}
}

func others() []string {
	return []string{
		`{"sort":["bytes","seq"],"size":5,"_source":false}`, `{"sort":[{"bytes":"desc"},"seq"],"size":5,"from":3,"_source":false}`, `{"sort":[{"@timestamp":{"order":"desc"}},"seq"],"size":5,"_source":false}`, `{"sort":[{"@timestamp":{"order":"desc","format":"strict_date_optional_time"}},"seq"],"size":2,"_source":false}`,
		`{"sort":[{"code":{"order":"asc","missing":"_first"}},"seq"],"size":5,"_source":false}`, `{"sort":[{"code":{"order":"desc"}},{"seq":"desc"}],"size":200,"_source":false}`, `{"sort":[{"code":{"order":"asc","missing":300}},"seq"],"size":300,"_source":false}`, `{"sort":[{"tags":"asc"},"seq"],"size":200,"_source":false}`, `{"sort":[{"tags":{"order":"desc","missing":"_first"}},"seq"],"size":20,"_source":false}`, `{"sort":[{"tags":{"order":"desc","mode":"min"}},"seq"],"size":50,"_source":false}`,
		`{"sort":[{"codes":{"order":"asc","mode":"max"}},"seq"],"size":60,"_source":false}`, `{"sort":["ok",{"ratio":"desc"},"seq"],"size":5,"_source":false}`, `{"sort":["log.level","host.name","seq"],"size":30,"_source":["log.level"]}`, `{"sort":[{"client.ip":"asc"},"seq"],"size":200,"_source":false}`, `{"sort":["note","seq"],"size":100,"_source":false}`, `{"sort":[{"nope":{"unmapped_type":"long"}},"seq"],"size":2,"_source":false}`, `{"sort":[{"nope":{"unmapped_type":"keyword","order":"desc"}},"seq"],"size":2,"_source":false}`, `{"sort":[{"nope":{"unmapped_type":"integer"}},"seq"],"size":1,"_source":false}`, `{"sort":[{"nope":{"unmapped_type":"boolean"}},"seq"],"size":1,"_source":false}`, `{"sort":[{"nope":{"unmapped_type":"date"}},"seq"],"size":1,"_source":false}`, `{"sort":[{"nope":{"unmapped_type":"double"}},"seq"],"size":1,"_source":false}`, `{"sort":[{"nope":{"unmapped_type":"short","order":"desc"}},"seq"],"size":1,"_source":false}`, `{"sort":"nope"}`, `{"sort":"message"}`, `{"sort":"_id"}`, `{"sort":[{"seq":{"order":"up"}}]}`, `{"sort":[{"seq":{"foo":"up"}}]}`,
		`{"sort":["bytes","seq"],"size":5,"search_after":[1000,3],"_source":false}`, `{"sort":[{"@timestamp":"desc"},"seq"],"size":5,"search_after":["2024-02-01T00:00:00.000Z",3],"_source":false}`, `{"sort":[{"@timestamp":"desc"},"seq"],"size":5,"search_after":[1706745600000,3],"_source":false}`, `{"sort":["log.level","seq"],"size":5,"search_after":["INFO",100],"_source":false}`, `{"sort":["code","seq"],"size":5,"search_after":[404,10],"_source":false}`, `{"sort":[{"tags":"asc"},"seq"],"size":5,"search_after":[null,10],"_source":false}`, `{"sort":["seq"],"search_after":[1,2]}`, `{"search_after":[1]}`, `{"sort":["seq"],"search_after":[5],"from":5}`, `{"sort":["seq"],"search_after":["x"]}`, `{"sort":["seq"],"search_after":[]}`,
		`{"sort":["seq"],"from":495,"size":10,"_source":false}`, `{"sort":["seq"],"from":600,"size":10}`, `{"from":9999,"size":10}`, `{"size":-1}`, `{"from":-1}`, `{"size":"3","sort":["seq"]}`, `{"size":0,"track_total_hits":false}`, `{"size":0,"track_total_hits":100}`, `{"size":0,"track_total_hits":true}`, `{"size":1,"sort":["seq"],"track_total_hits":7}`, `{"size":0,"track_total_hits":"x"}`, `{"size":0,"track_total_hits":-5}`,
		`{"sort":["seq"],"size":3,"_source":["log.*","client.ip"]}`, `{"sort":["seq"],"size":3,"_source":{"includes":["log","host.name"],"excludes":["log.level"]}}`, `{"sort":["seq"],"size":3,"_source":{"excludes":["*e"]}}`, `{"sort":["seq"],"size":3,"_source":"log"}`, `{"sort":["seq"],"size":3,"_source":5}`, `{"sort":["seq"],"size":3,"_source":["nope"]}`,
		`{"foo":1}`, `{"foo":{}}`, `{"query":`, `{"query":{"match_all":{}},"version":true,"seq_no_primary_term":true,"sort":["seq"],"size":2,"_source":false}`, `[]`, `{"aggs":5}`, `{"aggs":{"a":5}}`, `{"query":5}`,
	}
}

// urls are searches by parameters.
func urls() []request {
	var list []request
	for _, path := range []string{
		"/logs-a/_search?q=log.level:ERROR&sort=seq&size=5&_source=false", "/logs-a/_search?q=error+timeout&default_operator=AND&df=message&sort=seq:desc&size=5&_source_includes=seq",
		"/logs-a/_search?size=1&foo=1", "/logs-a/_search?size=x", "/logs-*/_search?size=0", "/logs-*,-logs-b/_search?size=0", "/logs-a,logs-b/_search?size=0", "/_all/_search?size=0&q=seq:5", "/nope/_search", "/nope*/_search", "/nope*/_search?allow_no_indices=false", "/nope,logs-a/_search?ignore_unavailable=true&size=0", "/nope,logs-a/_search?size=0",
		"/logs-a/_count", "/logs-a/_count?q=error", "/nope/_count", "/logs-*/_count", "/logs-a/_search?sort=seq&size=2&filter_path=hits.hits._id,hits.total", "/logs-a/_search?sort=seq&size=1&filter_path=-hits.hits._source,-took", "/logs-a/_search?size=0&track_total_hits=5", "/logs-a/_search?size=0&rest_total_hits_as_int=true", "/logs-a/_search?q=(&size=0",
		"/logs-a/_search?sort=seq&size=3&_source_excludes=log,host*",
	} {
		list = append(list, request{method: "GET", path: path})
	}
	typed := `{"size":0,"aggs":{"a":{"terms":{"field":"log.level"},"aggs":{"m":{"max":{"field":"bytes"}},"h":{"date_histogram":{"field":"@timestamp","calendar_interval":"1y"}}}},"b":{"terms":{"field":"code"}},"c":{"terms":{"field":"ratio","size":1}},"d":{"terms":{"field":"nope"}},"e":{"cardinality":{"field":"code"}},"f":{"filter":{"match_all":{}}},"g":{"missing":{"field":"code"}}}}`
	return append(list,
		request{method: "POST", path: "/logs-a/_search?typed_keys=true", body: typed},
		request{method: "GET", path: "/logs-a/_count", body: `{"query":{"term":{"ok":true}}}`},
		request{method: "GET", path: "/logs-a/_count", body: `{"size":1}`},
		request{method: "GET", path: "/logs-*/_search", body: `{"size":0,"track_total_hits":true,"aggs":{"a":{"terms":{"field":"log.level"},"aggs":{"m":{"avg":{"field":"bytes"}}}},"h":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d"}}}}`},
		request{method: "GET", path: "/logs-*/_search", body: `{"size":30,"sort":[{"@timestamp":"asc"},"seq"],"_source":["seq"]}`},
	)
}
