package configs

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// memory is a Source of given files and variables.
func memory(files, env map[string]string) Source {
	return Source{
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		Glob: func(pattern string) ([]string, error) {
			var matches []string
			for path := range files {
				ok, err := filepath.Match(pattern, path)
				if err != nil {
					return nil, err
				}
				if ok {
					matches = append(matches, path)
				}
			}
			slices.Sort(matches)
			return matches, nil
		},
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}
}

func TestLoadReadsTheWholeModel(t *testing.T) {
	files := map[string]string{
		"/etc/millrace.yaml": `
data_dir: ${STATE:-/var/lib/millrace}
include: [conf.d/*.yaml]
kafka: {brokers: ["${HOST}:9092", b:9092]}
broker: {listen: "127.0.0.1:0", segment_size: 1GiB, retention_time: 3d}
agent:
  unacked_max: 8MiB
  inputs:
    - include: /var/log/*.log
      fields: {service.name: web}
pipeline_files: [pipelines/*.yaml]
notifiers:
  ops: {webhook: {url: "http://127.0.0.1:1/hook"}}
`,
		"/etc/conf.d/a.yaml": `
agent: {inputs: [{include: [/srv/**/*.log], topic: srv, multiline: {pattern: '^\s'}}]}
elasticsearch: {password: "${file:/etc/secret}"}
`,
		"/etc/secret": "hush\n",
		"/etc/pipelines/web.yaml": `
name: web
input: {topics: [logs.web]}
process:
  - grok: {field: message, pattern: '%{COMBINEDAPACHELOG}'}
  - drop: {when: 'url.path == "/healthz"'}
alerts:
  - {name: errors, type: frequency, where: 'a >= 500', count: 5, within: 1m, notify: [ops]}
output: {elasticsearch: {}}
`,
	}
	cfg, err := memory(files, map[string]string{"HOST": "kafka-1"}).Load("/etc/millrace.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.DataDir != "/var/lib/millrace" || cfg.Elasticsearch.Password != "hush" || cfg.Kafka.Brokers[0] != "kafka-1:9092" {
		t.Errorf("expansion: %q %q %q", cfg.DataDir, cfg.Elasticsearch.Password, cfg.Kafka.Brokers)
	}
	if cfg.Broker.SegmentSize != 1<<30 || cfg.Broker.RetentionTime.D() != 72*time.Hour || cfg.Agent.UnackedMax != 8<<20 {
		t.Errorf("units: %+v", cfg.Broker)
	}
	if len(cfg.Agent.Inputs) != 2 || cfg.Agent.Inputs[0].Topic != "logs" || cfg.Agent.Inputs[0].LineMax != 1_000_000 || cfg.Agent.Inputs[1].Topic != "srv" || cfg.Agent.Inputs[1].Multiline.LinesMax != 500 {
		t.Errorf("inputs with their defaults: %+v", cfg.Agent.Inputs)
	}
	if len(cfg.Pipelines) != 1 || len(cfg.Pipelines[0].Process) != 2 || cfg.Pipelines[0].Process[0].Name != "grok" || cfg.Pipelines[0].Process[0].File != "/etc/pipelines/web.yaml" {
		t.Errorf("pipelines: %+v", cfg.Pipelines)
	}
	if out := cfg.Pipelines[0].Output.Elasticsearch; out == nil || out.BulkCount != 5000 {
		t.Errorf("output: %+v", out)
	}
	if at := cfg.At("pipelines[0].alerts[0].where", "no such field"); at.Error() != "/etc/pipelines/web.yaml:8:44: pipelines[0].alerts[0].where: no such field" {
		t.Errorf("place of a value: %v", at)
	}
}

func TestLoadReportsEveryProblemWithItsPlace(t *testing.T) {
	files := map[string]string{"/m.yaml": `data_dirr: x
broker:
  listen: 9092
  segment_size: 5 bytes
  node_id: one
  node_id: 2
agent:
  inputs:
    - include: {a: b}
      topic: logs
    - {includ: [x]}
log: {level: "${LEVEL}"}
http: []
pipelines: [{name: p, input: {topics: [a]}, process: [grok]}]
`}
	_, err := memory(files, nil).Load("/m.yaml")
	want := []string{
		`/m.yaml:1:1: the configuration has no key "data_dirr"; did you mean "data_dir"?`,
		`/m.yaml:4:17: "5 bytes" is not a size: write for instance 1000000, 512KiB, 64MiB or 1GiB`,
		`/m.yaml:5:12: broker.node_id takes a whole number, not "one"`,
		`/m.yaml:6:3: node_id is given twice`,
		`/m.yaml:9:16: agent.inputs[0].include takes a list, not a mapping`,
		`/m.yaml:11:8: agent.inputs[1] has no key "includ"; did you mean "include"?`,
		`/m.yaml:12:14: the environment variable LEVEL is not set; set it or write ${LEVEL:-default}`,
		`/m.yaml:13:7: http takes a mapping with the keys listen, hosts, not a list`,
		`/m.yaml:14:55: a processor is a mapping with one key`,
	}
	var got Errors
	if !errors.As(err, &got) {
		t.Fatalf("got %v", err)
	}
	text := got.Error()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("missing: %s", w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d problems, want %d:\n%s", len(got), len(want), text)
	}
}

func TestValidateNamesTheValueAndTheRemedy(t *testing.T) {
	files := map[string]string{"/m.yaml": `
broker: {listen: "9092", default_partitions: 0, durability: maybe}
kafka: {brokers: [nowhere]}
http: {listen: "off"}
elasticsearch: {addresses: [es1]}
agent:
  inputs:
    - {topic: "a b", include: []}
    - {include: [x], fields: {host: me}, multiline: {pattern: "("}}
pipelines:
  - {name: Web, input: {topics: []}}
  - name: ok
    input: {topics: ["^("]}
    alerts:
      - {name: r, type: frequency, notify: [nobody]}
notifiers:
  none: {}
  hook: {webhook: {url: ftp://x}}
`}
	_, err := memory(files, nil).Load("/m.yaml")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`2:18: broker.listen: "9092" is not an address: write host:port`,
		`broker.default_partitions: 0 is too small: at least 1`,
		`broker.durability: "maybe" is not one of fsync, os`,
		`kafka.brokers[0]: "nowhere" is not an address`,
		`4:16: http.listen: "off" is not an address: write host:port, for instance 127.0.0.1:9092; "" turns it off`,
		`elasticsearch.addresses[0]: "es1" is not a base URL`,
		`agent.inputs[0].topic: "a b" is not a topic name`,
		`agent.inputs[0]: include names no file`,
		`agent.inputs[1].fields.host: the agent writes the header "host" itself`,
		"agent.inputs[1].multiline.pattern: error parsing regexp",
		`pipelines[0].name: "Web" is not a pipeline name`,
		`pipelines[0].input: topics is empty`,
		"pipelines[1].input.topics[0]: error parsing regexp",
		`pipelines[1].alerts[0]: where is missing`,
		`pipelines[1].alerts[0].count: a frequency rule needs a count`,
		`pipelines[1].alerts[0].within: a frequency rule needs a window`,
		`pipelines[1].alerts[0].notify[0]: there is no notifier "nobody"`,
		`notifiers.none: give exactly one of webhook, file and stdout`,
		`notifiers.hook.webhook.url: "ftp://x" is not an http or https URL`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %s in\n%v", want, err)
		}
	}
}

func TestAPipelineFileIsCheckedAlone(t *testing.T) {
	files := map[string]string{
		"/web.yaml":   "name: web\ninput: {topics: [logs.web]}\nalerts: [{name: a, type: any, where: 'x == 1', notify: [ops]}]\n",
		"/bad.yaml":   "name: Web\ninput: {topics: []}\n",
		"/whole.yaml": "data_dir: /x\n",
	}
	source := memory(files, nil)
	if cfg, err := source.LoadAny("/web.yaml"); err != nil || len(cfg.Pipelines) != 1 {
		t.Errorf("a pipeline: %v", err)
	}
	if _, err := source.LoadAny("/bad.yaml"); err == nil || !strings.Contains(err.Error(), `/bad.yaml:1:7: pipelines[0].name: "Web" is not a pipeline name`) {
		t.Errorf("a broken pipeline: %v", err)
	}
	if cfg, err := source.LoadAny("/whole.yaml"); err != nil || cfg.DataDir != "/x" {
		t.Errorf("a configuration: %v", err)
	}
	if _, err := source.Load("/web.yaml"); err == nil || !strings.Contains(err.Error(), "name it under pipeline_files") {
		t.Errorf("a pipeline in place of a configuration: %v", err)
	}
}

func TestOneValueInTwoFilesIsRefused(t *testing.T) {
	files := map[string]string{
		"/m.yaml": "include: [b.yaml]\ndata_dir: /a\n",
		"/b.yaml": "data_dir: /b\n",
	}
	_, err := memory(files, nil).Load("/m.yaml")
	if err == nil || !strings.Contains(err.Error(), "/b.yaml:1:1: data_dir is already set at /m.yaml:2") {
		t.Fatalf("got %v", err)
	}
}

func TestMissingFilesAndBrokenYAMLAreNamed(t *testing.T) {
	for document, want := range map[string]string{
		"include: [gone.yaml]\n":         `include "/gone.yaml": there is no such file`,
		"a: [1\nb: 2\n":                  "/m.yaml:",
		"data_dir: ${file:/nowhere}\n":   "${file:/nowhere}",
		"data_dir: ${OPEN\n":             "has no closing brace",
		"pipeline_files: [p/x.yaml]\n":   `pipeline_files "/p/x.yaml": there is no such file`,
		"include: [m2.yaml]\n# circle\n": "",
	} {
		files := map[string]string{"/m.yaml": document, "/m2.yaml": "include: [m.yaml]\n"}
		_, err := memory(files, nil).Load("/m.yaml")
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", document, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", document, err, want)
		}
	}
	if _, err := memory(nil, nil).Load("/none.yaml"); err == nil || !strings.Contains(err.Error(), "/none.yaml: there is no such file") {
		t.Errorf("got %v", err)
	}
}

func TestUnitsAreReadBackAsTheyAreWritten(t *testing.T) {
	for _, s := range []string{"0s", "5s", "1m", "1h", "1h30m", "7d", "250ms"} {
		d, err := ParseDuration(s)
		if err != nil || d.String() != s {
			t.Errorf("%s: %v, %v", s, d, err)
		}
	}
	for _, s := range []string{"0", "1000", "64KiB", "3MiB", "1GiB"} {
		n, err := ParseSize(s)
		if err != nil || n.String() != s {
			t.Errorf("%s: %v, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "-1", "5 apples", "9999999TiB", "1.5MiB"} {
		if n, err := ParseSize(s); err == nil {
			t.Errorf("%q was read as %d", s, n)
		}
	}
	if n, err := ParseSize("10MB"); err != nil || n != 10_000_000 {
		t.Errorf("10MB: %d, %v", n, err)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	cfg := Default()
	if errs := cfg.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("agent: {inputs: [{include: x}]}"))
	f.Add([]byte("agent: {inputs: &a [*a]}"))
	f.Add([]byte("pipelines: [{process: [grok: {}]}]"))
	f.Fuzz(func(t *testing.T, document []byte) {
		cfg, err := memory(nil, nil).Parse("/m.yaml", document)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("cfg %v, err %v", cfg, err)
		}
	})
}
