package event

// renameProcessor gives fields other names. A name that is missing is passed
// over; one that is an object takes its fields along.
type renameProcessor struct{ pairs [][2]string }

func newRename(s *settings) processor {
	p := &renameProcessor{}
	from, to := s.rest()
	for i := range from {
		if from[i].Value == FieldTimestamp {
			s.failAt(from[i], "%s cannot be renamed", FieldTimestamp)
		}
		p.pairs = append(p.pairs, [2]string{s.fieldName(from[i]), s.fieldName(to[i])})
	}
	if len(p.pairs) == 0 {
		s.fail("write old and new names, for instance \"rename: {client: source.address}\"")
	}
	return p
}

func (p *renameProcessor) process(e *Event) bool {
	for _, pair := range p.pairs {
		from, to := pair[0], pair[1]
		if from == to {
			continue
		}
		if v := e.Get(from); !v.Missing() {
			move(e, from, to, v)
			continue
		}
		for _, f := range e.below(from) {
			move(e, f.Name, to+f.Name[len(from):], f.Value)
		}
	}
	return false
}

// move sets the new name and takes the old one away; message is copied, since
// a document without it is not found.
func move(e *Event, from, to string, v Value) {
	if !e.Set(to, v) {
		e.Fail("rename: " + from + " is not a time in ISO 8601, so it cannot become " + to)
		return
	}
	if from != FieldMessage {
		e.removeOne(from)
	}
}

// below returns copies of the fields inside an object.
func (e *Event) below(parent string) []Field {
	var out []Field
	for _, f := range e.fields {
		if isBelow(f.Name, parent) {
			out = append(out, f)
		}
	}
	return out
}

// removeOne removes the field of exactly that name.
func (e *Event) removeOne(name string) {
	i := e.find(name)
	if i < 0 {
		return
	}
	e.fields = append(e.fields[:i], e.fields[i+1:]...)
	e.index = nil
	if len(e.fields) >= indexFrom {
		e.buildIndex()
	}
}
