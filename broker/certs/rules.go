package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ErrNoRule is a distinguished name that no mapping rule applies to.
var ErrNoRule = errors.New("no principal mapping rule applies")

// Rules make user names of distinguished names (ssl.principal.mapping.rules, KIP-371).
// The first that applies to the whole name decides. Without rules a user has the
// distinguished name.
type Rules struct{ rules []rule }

// rule is one RULE:pattern/replacement/[LU]; without a pattern it is DEFAULT.
type rule struct {
	pattern     *regexp.Regexp
	replacement string // in Go's form
	change      func(string) string
}

// ParseRules reads rules separated by commas: DEFAULT or
// RULE:pattern/replacement/, optionally with L or U at the end. Patterns are of Go's
// kind (RE2); those of Java that RE2 does not have are refused.
func ParseRules(text string) (*Rules, error) {
	r := &Rules{}
	for rest := strings.TrimSpace(text); rest != ""; {
		one, after, err := nextRule(rest)
		if err != nil {
			return nil, err
		}
		r.rules = append(r.rules, one)
		after = strings.TrimLeft(after, " \t\r\n")
		next, ok := strings.CutPrefix(after, ",")
		if !ok && after != "" {
			return nil, fmt.Errorf("invalid principal mapping rule: unmatched substring %q", after)
		}
		rest = strings.TrimLeft(next, " \t\r\n")
	}
	return r, nil
}

func nextRule(text string) (one rule, rest string, err error) {
	if rest, ok := strings.CutPrefix(text, "DEFAULT"); ok {
		return rule{}, rest, nil
	}
	body, ok := strings.CutPrefix(text, "RULE:")
	if !ok {
		return rule{}, "", fmt.Errorf("invalid principal mapping rule %q: write DEFAULT or RULE:pattern/replacement/[LU]", text)
	}
	pattern, body, ok := cutAtSlash(body)
	replacement, rest, okToo := cutAtSlash(body)
	if !ok || !okToo {
		return rule{}, "", fmt.Errorf("invalid principal mapping rule %q: write RULE:pattern/replacement/[LU]", text)
	}
	if one.pattern, err = regexp.Compile("^(?:" + pattern + ")$"); err != nil {
		return rule{}, "", fmt.Errorf("invalid principal mapping rule %q: %w", text, err)
	}
	one.replacement = expansion(replacement, one.pattern.NumSubexp())
	switch {
	case strings.HasPrefix(rest, "L"):
		one.change, rest = strings.ToLower, rest[1:]
	case strings.HasPrefix(rest, "U"):
		one.change, rest = strings.ToUpper, rest[1:]
	}
	return one, rest, nil
}

// cutAtSlash cuts at the first slash that no backslash stands before.
func cutAtSlash(s string) (before, after string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '/':
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// expansion turns Java's replacement, in which $1 is a group as long as there is
// one of the number and a backslash takes the next character as it is, into Go's.
func expansion(replacement string, groups int) string {
	var out strings.Builder
	literal := func(c byte) {
		if c == '$' {
			out.WriteByte('$')
		}
		out.WriteByte(c)
	}
	for i := 0; i < len(replacement); i++ {
		c := replacement[i]
		switch {
		case c == '\\' && i+1 < len(replacement):
			i++
			literal(replacement[i])
		case c == '$':
			end := i + 1
			for end < len(replacement) && replacement[end] >= '0' && replacement[end] <= '9' {
				end++
			}
			for ; end > i+1; end-- {
				if n, err := strconv.Atoi(replacement[i+1 : end]); err == nil && n <= groups {
					break
				}
			}
			if end == i+1 {
				literal(c)
				continue
			}
			out.WriteString("${" + replacement[i+1:end] + "}")
			i = end - 1
		default:
			literal(c)
		}
	}
	return out.String()
}

// Apply returns the user's name.
func (r *Rules) Apply(name string) (string, error) {
	for _, one := range r.rules {
		if one.pattern == nil {
			return name, nil
		}
		if !one.pattern.MatchString(name) {
			continue
		}
		user := one.pattern.ReplaceAllString(name, one.replacement)
		if one.change != nil {
			user = one.change(user)
		}
		return user, nil
	}
	if len(r.rules) == 0 {
		return name, nil
	}
	return "", fmt.Errorf("%w to %q", ErrNoRule, name)
}

// Principal returns who a certificate is for, as "User:name".
func (r *Rules) Principal(cert *x509.Certificate) (string, error) {
	name, err := DistinguishedName(cert.RawSubject)
	if err != nil {
		return "", err
	}
	user, err := r.Apply(name)
	if err != nil {
		return "", err
	}
	return "User:" + user, nil
}
