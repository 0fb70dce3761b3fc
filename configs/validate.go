package configs

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Validate checks values against each other and against their limits, and
// reports all problems at once. Expressions and processors are checked by the
// packages that compile them.
func (c *Config) Validate() Errors {
	v := validator{cfg: c}
	v.limits(reflect.ValueOf(c).Elem(), "")
	v.addresses()
	v.agent()
	v.pipelines()
	v.notifiers()
	v.mirror()
	return v.errs
}

// At makes an error about the value at path ("pipelines[0].alerts[1].where"),
// with the file, line and column where it stands. For a path that no file
// gives, the nearest value above it is named.
func (c *Config) At(path, format string, args ...any) *FieldError {
	e := &FieldError{File: "configuration", Msg: path + ": " + fmt.Sprintf(format, args...)}
	for p := path; ; {
		if at, ok := c.places[p]; ok {
			e.File, e.Line, e.Column = at.file, at.line, at.column
			return e
		}
		cut := strings.LastIndexAny(p, ".[")
		if cut < 0 {
			return e
		}
		p = p[:cut]
	}
}

type validator struct {
	cfg  *Config
	errs Errors
}

func (v *validator) fail(path, format string, args ...any) {
	v.errs = append(v.errs, v.cfg.At(path, format, args...))
}

// limits checks the oneof and min tags of every field.
func (v *validator) limits(value reflect.Value, path string) {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			v.limits(value.Elem(), path)
		}
	case reflect.Slice:
		for i := range value.Len() {
			v.limits(value.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		iter := value.MapRange()
		for iter.Next() {
			v.limits(iter.Value(), join(path, iter.Key().String()))
		}
	case reflect.Struct:
		v.structLimits(value, path)
	}
}

func (v *validator) structLimits(value reflect.Value, path string) {
	t := value.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		key := field.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		at := join(path, key)
		if words, ok := field.Tag.Lookup("oneof"); ok && !oneOf(value.Field(i).String(), words) && value.Field(i).String() != "" {
			v.fail(at, "%q is not one of %s", value.Field(i).String(), strings.Join(strings.Fields(words), ", "))
		}
		if least, ok := field.Tag.Lookup("min"); ok {
			v.atLeast(value.Field(i), at, least)
		}
		v.limits(value.Field(i), at)
	}
}

func (v *validator) atLeast(value reflect.Value, path, least string) {
	var limit int64
	var err error
	switch value.Interface().(type) {
	case Duration:
		var d Duration
		d, err = ParseDuration(least)
		limit = int64(d)
	case Size:
		var s Size
		s, err = ParseSize(least)
		limit = int64(s)
	default:
		limit, err = strconv.ParseInt(least, 10, 64)
	}
	if err != nil {
		panic(fmt.Sprintf("configs: broken min tag at %s: %v", path, err))
	}
	if value.Int() < limit {
		v.fail(path, "%v is too small: at least %s", value.Interface(), least)
	}
}

func (v *validator) addresses() {
	c := v.cfg
	v.listeners()
	v.hostPort("http.listen", c.HTTP.Listen, "turns it off")
	v.hostPort("search.listen", c.Search.Listen, "")
	for path, k := range map[string]Kafka{"kafka": c.Kafka, "mirror.source": c.Mirror.Source, "mirror.target": c.Mirror.Target} {
		for i, b := range k.Brokers {
			v.hostPort(fmt.Sprintf("%s.brokers[%d]", path, i), b, "")
		}
	}
	for i, a := range c.Elasticsearch.Addresses {
		u, err := url.Parse(a)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			v.fail(fmt.Sprintf("elasticsearch.addresses[%d]", i), "%q is not a base URL: write for instance http://127.0.0.1:9200", a)
		}
	}
}

func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// hostPort checks an address. empty says what an empty one means, nothing where there must be one.
func (v *validator) hostPort(path, addr, empty string) {
	if addr == "" && empty != "" {
		return
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err == nil {
		return
	}
	if empty != "" {
		empty = `; "" ` + empty
	}
	v.fail(path, "%q is not an address: write host:port, for instance 127.0.0.1:9092%s", addr, empty)
}

func (v *validator) agent() {
	for i, in := range v.cfg.Agent.Inputs {
		path := fmt.Sprintf("agent.inputs[%d]", i)
		if len(in.Include) == 0 {
			v.fail(path, "include names no file: give at least one glob, for instance [/var/log/*.log]")
		}
		if in.Topic == "" || !topicName.MatchString(in.Topic) {
			v.fail(path+".topic", "%q is not a topic name: use letters, digits, dot, underscore and hyphen", in.Topic)
		}
		for name := range in.Fields {
			if slices.Contains([]string{"host", "path", "file", "offset", "agent", "flags"}, name) {
				v.fail(path+".fields."+name, "the agent writes the header %q itself; choose another name", name)
			}
		}
		v.pattern(path+".multiline.pattern", in.Multiline.Pattern)
	}
}

func (v *validator) pattern(path, pattern string) {
	if _, err := regexp.Compile(pattern); err != nil {
		v.fail(path, "%v", err)
	}
}

func (v *validator) pipelines() {
	names := map[string]bool{}
	for i, p := range v.cfg.Pipelines {
		path := fmt.Sprintf("pipelines[%d]", i)
		switch {
		case !pipelineName.MatchString(p.Name):
			v.fail(path+".name", "%q is not a pipeline name: use lower-case letters, digits, hyphen and underscore, it becomes part of the index name", p.Name)
		case names[p.Name]:
			v.fail(path+".name", "there are two pipelines named %q", p.Name)
		}
		names[p.Name] = true
		if len(p.Input.Topics) == 0 {
			v.fail(path+".input", "topics is empty: name at least one topic")
		}
		for j, topic := range p.Input.Topics {
			if strings.HasPrefix(topic, "^") {
				v.pattern(fmt.Sprintf("%s.input.topics[%d]", path, j), topic)
			}
		}
		v.alerts(path, p.Alerts)
	}
	for i, topic := range v.cfg.DefaultPipeline.Topics {
		v.pattern(fmt.Sprintf("default_pipeline.topics[%d]", i), topic)
	}
}

func (v *validator) alerts(pipeline string, rules []AlertRule) {
	names := map[string]bool{}
	for i, r := range rules {
		path := fmt.Sprintf("%s.alerts[%d]", pipeline, i)
		if r.Name == "" || names[r.Name] {
			v.fail(path+".name", "every rule of a pipeline needs a name of its own, not %q", r.Name)
		}
		names[r.Name] = true
		if r.Where == "" {
			v.fail(path, "where is missing: give the condition that an event must meet")
		}
		switch r.Type {
		case "frequency":
			if r.Count < 1 {
				v.fail(path+".count", "a frequency rule needs a count of at least 1")
			}
			if r.Within <= 0 {
				v.fail(path+".within", "a frequency rule needs a window, for instance within: 1m")
			}
		case "":
			v.fail(path, "type is missing: write any or frequency")
		}
		for j, name := range r.Notify {
			if _, ok := v.cfg.Notifiers[name]; !ok {
				v.fail(fmt.Sprintf("%s.notify[%d]", path, j), "there is no notifier %q under notifiers", name)
			}
		}
	}
}

func (v *validator) notifiers() {
	for name, n := range v.cfg.Notifiers {
		path := "notifiers." + name
		kinds := 0
		for _, given := range []bool{n.Webhook != nil, n.File != nil, n.Stdout != nil} {
			if given {
				kinds++
			}
		}
		if kinds != 1 {
			v.fail(path, "give exactly one of webhook, file and stdout")
		}
		if n.Webhook != nil {
			if u, err := url.Parse(n.Webhook.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
				v.fail(path+".webhook.url", "%q is not an http or https URL", n.Webhook.URL)
			}
		}
		if n.File != nil && n.File.Path == "" {
			v.fail(path+".file", "path is missing")
		}
	}
}

func (v *validator) mirror() {
	for i, p := range v.cfg.Mirror.Topics {
		v.pattern(fmt.Sprintf("mirror.topics[%d]", i), p)
	}
	for i, p := range v.cfg.Mirror.Exclude {
		v.pattern(fmt.Sprintf("mirror.exclude[%d]", i), p)
	}
}

var (
	topicName    = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	listenerName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,100}$`)
	pipelineName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,99}$`)
)
