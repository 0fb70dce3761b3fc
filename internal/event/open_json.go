package event

// opener sets the members of a JSON object, or the pairs of a logfmt line, as
// fields of an event, so that the event stays a document that Elasticsearch
// takes: what would clash goes under another name, and what is too much is
// found in message only.
type opener struct {
	event *Event
	// target is the object that everything goes into; "" is the top.
	target string
	// aside is where members go whose own names are taken; "" sets them all the
	// same.
	aside string
	// overwrite lets members replace fields that are already set.
	overwrite bool
	// before is the number of fields that the event had.
	before int
	// left is how many more fields may be set.
	left int
}

// asideDefault is the object that clashing members of opened lines go into.
const asideDefault = "json"

func (o *opener) open(fields []Field) {
	o.left, o.before = openedFieldsMax, len(o.event.fields)
	for _, f := range fields {
		o.member(o.target, f.Name, f.Value)
	}
}

// member sets one member of the object parent.
func (o *opener) member(parent, name string, v Value) {
	name, ok := CleanName(name)
	if !ok {
		return
	}
	full := name
	if parent != "" {
		full = parent + "." + name
	}
	if v.kind == KindObject {
		for _, f := range v.more.fields {
			o.member(full, f.Name, f.Value)
		}
		return
	}
	o.leaf(full, v)
}

func (o *opener) leaf(name string, v Value) {
	if v.kind == KindNull {
		return // Elasticsearch does not know it from a missing field
	}
	v, ok := cleanList(v, 0)
	if !ok || o.left == 0 {
		return
	}
	o.left--
	if o.aside != "" && (isReserved(name, v) || o.taken(name)) {
		name = o.aside + "." + name
	}
	name, ok = CleanName(name)
	if !ok {
		return
	}
	o.event.Set(name, v)
}

// taken reports whether a field that was there before has that name, or one
// above or below it.
func (o *opener) taken(name string) bool {
	switch {
	case name == FieldTimestamp, name == FieldIngested, name == FieldOriginal, name == FieldOriginalBase64,
		name == FieldMessage, isBelow(name, FieldMessage), isBelow(name, FieldTimestamp), isBelow(name, FieldTags):
		return true
	}
	for i := range o.event.fields[:min(o.before, len(o.event.fields))] {
		have := o.event.fields[i].Name
		if isBelow(have, name) || isBelow(name, have) || (have == name && !o.overwrite) {
			return true
		}
	}
	return false
}

// isReserved reports whether Elasticsearch or ECS gives the name a meaning
// that the value cannot have: names with an underscore in front belong to
// Elasticsearch, and the names of ECS's field sets are objects.
func isReserved(name string, v Value) bool {
	if name[0] == '_' {
		return true
	}
	switch name {
	case "agent", "as", "client", "cloud", "code_signature", "container", "data_stream", "destination",
		"device", "dll", "dns", "ecs", "elf", "email", "error", "event", "faas", "fields", "file", "geo", "group", "hash",
		"host", "http", "interface", "log", "network", "observer", "orchestrator", "organization", "os", "package",
		"pe", "process", "registry", "related", "rule", "server", "service", "source", "span", "threat", "tls",
		"trace", "transaction", "url", "user", "user_agent", "vlan", "volume", "vulnerability", "x509",
		"event.original", "log.file", "log.origin", "log.syslog", "http.request", "http.response", "process.thread":
		return true
	}
	switch name {
	case FieldTags:
		return v.kind != KindString && v.kind != KindList
	case "event.created", "event.start", "event.end":
		_, isTime := parseISO(v.str, nil)
		return v.kind != KindString || !isTime
	case FieldLogOffset, "http.response.status_code", "http.request.body.bytes", "http.response.body.bytes", "http.request.bytes",
		"http.response.bytes", "event.duration", "event.severity", "url.port", "process.pid", "process.thread.id",
		"source.port", "client.port", "destination.port", "server.port",
		"source.bytes", "client.bytes", "destination.bytes", "server.bytes":
		_, isNumber := asInteger(v)
		return !isNumber || v.kind == KindBool
	}
	return false
}

// listDepthMax is the nesting of lists and of objects in them that is kept.
const listDepthMax = 8

// cleanList makes the objects inside a list acceptable: clean names, no nulls,
// a bounded depth.
func cleanList(v Value, depth int) (Value, bool) {
	switch v.kind {
	case KindList:
		if depth > listDepthMax {
			return Value{}, false
		}
		out := make([]Value, 0, len(v.more.list))
		for _, e := range v.more.list {
			if e, ok := cleanList(e, depth+1); ok {
				out = append(out, e)
			}
		}
		return List(out...), true
	case KindObject:
		if depth > listDepthMax {
			return Value{}, false
		}
		var out []Field
		for _, f := range v.more.fields {
			name, ok := CleanName(f.Name)
			if !ok || len(out) >= membersCompared {
				continue
			}
			if value, ok := cleanList(f.Value, depth+1); ok {
				out = setMember(out, name, value)
			}
		}
		return Object(out...), len(out) > 0
	case KindNull:
		return v, false
	default:
		return v, true
	}
}
