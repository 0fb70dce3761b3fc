package core

import (
	"errors"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// regexRefreshMinMs is the least time between two looks for topics that
	// have come and gone.
	regexRefreshMinMs = 10_000
	// regexRefreshMaxMs is the time after which the authorization of topics, too, is
	// looked at again (group.consumer.regex.refresh.interval.ms).
	regexRefreshMaxMs = 600_000
)

// resolveRegexes keeps the group's expressions up to date with what its members
// subscribe to and with the topics there are. It says whether the topics of
// one have changed, or the member has another. An expression is RE2's
// syntax and matches whole names, and only topics that the client may describe.
//
// Unlike Kafka, which resolves in the background and rebalances a second time, this
// happens at once: RE2 takes time linear in the names.
func (s *Shard) resolveRegexes(id string, c *consumerGroup, in Input, m, updated *consumerMember, p *plan) (changed bool, no *refusal) {
	if m.regex != updated.regex {
		changed = true
		if m.regex != "" && c.regexSubscribers(m.regex) <= 1 && c.regexes[m.regex] != nil {
			s.write(regexTombstone(id, m.regex))
			p.regexes = maps.Clone(p.regexes)
			delete(p.regexes, m.regex)
		}
	}
	wanted := s.wantedRegexes(c, updated)
	if len(wanted) == 0 {
		return changed, nil
	}
	unresolved := slices.ContainsFunc(wanted, func(regex string) bool { return p.regexes[regex] == nil })
	stale := s.image.Version() != c.resolvedVersion && s.nowMs > c.resolvedMs+regexRefreshMinMs
	if !unresolved && !stale && s.nowMs <= c.resolvedMs+regexRefreshMaxMs {
		return changed, nil
	}
	if unresolved && updated.regex != "" && p.regexes[updated.regex] == nil {
		if no := checkRegex(updated.regex); no != nil {
			return false, no
		}
	}
	p.regexes = maps.Clone(p.regexes)
	written := false
	for _, regex := range wanted {
		old := p.regexes[regex]
		topics := s.match(regex, in.Authorized)
		if old != nil && slices.Equal(old.topics, topics) {
			continue
		}
		changed, written = true, true
		p.regexes[regex] = &resolvedRegex{topics: topics, version: s.image.Version(), timestamp: s.nowMs}
		s.write(regexRecord(id, regex, p.regexes[regex]))
	}
	if !written { // otherwise the records say so, once they are appended
		c.resolvedVersion, c.resolvedMs = s.image.Version(), s.nowMs
	}
	return changed, nil
}

// wantedRegexes are the expressions that members subscribe to, in order.
func (s *Shard) wantedRegexes(c *consumerGroup, updated *consumerMember) []string {
	var wanted []string
	for _, m := range c.members {
		if m.regex != "" && m.id != updated.id {
			wanted = append(wanted, m.regex)
		}
	}
	if updated.regex != "" {
		wanted = append(wanted, updated.regex)
	}
	return sortedUnique(wanted)
}

// match returns the names that an expression matches, in order.
func (s *Shard) match(regex string, authorized func(topic string) bool) []string {
	topics := []string{}
	re, err := regexp.Compile(`\A(?:` + regex + `)\z`)
	if err != nil {
		return topics // a log of a newer version can have an expression that is none here
	}
	for _, name := range s.image.TopicNames() {
		if re.MatchString(name) && (authorized == nil || authorized(name)) {
			topics = append(topics, name)
		}
	}
	return topics
}

func checkRegex(regex string) *refusal {
	_, err := regexp.Compile(regex)
	if err == nil {
		return nil
	}
	why := err.Error()
	if malformed, ok := errors.AsType[*syntax.Error](err); ok {
		why = malformed.Code.String()
	}
	return refuse(kerr.InvalidRegularExpression, "SubscribedTopicRegex `%s` is not a valid regular expression: %s.", regex, why)
}

// dropRegexes deletes the expressions that nobody of those who are left
// subscribes to, and returns the others.
func (s *Shard) dropRegexes(id string, c *consumerGroup, left []*consumerMember) map[string]*resolvedRegex {
	kept := map[string]*resolvedRegex{}
	for _, m := range left {
		if r := c.regexes[m.regex]; r != nil {
			kept[m.regex] = r
		}
	}
	for _, regex := range sortedKeys(c.regexes) {
		if kept[regex] == nil {
			s.write(regexTombstone(id, regex))
		}
	}
	return kept
}
