package files

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Matcher tells which paths belong to an input.
type Matcher struct {
	include, exclude []string
}

// NewMatcher checks the globs and makes them absolute. In them ** stands for any number
// of folders, * and ? do not cross a folder, {a,b} are alternatives.
func NewMatcher(include, exclude []string) (*Matcher, error) {
	m := &Matcher{}
	for _, list := range []struct {
		from []string
		to   *[]string
	}{{include, &m.include}, {exclude, &m.exclude}} {
		for _, glob := range list.from {
			if !doublestar.ValidatePattern(filepath.ToSlash(glob)) {
				return nil, fmt.Errorf("%q is not a valid glob", glob)
			}
			abs, err := filepath.Abs(glob)
			if err != nil {
				return nil, fmt.Errorf("make %q absolute: %w", glob, err)
			}
			*list.to = append(*list.to, filepath.ToSlash(abs))
		}
	}
	if len(m.include) == 0 {
		return nil, fmt.Errorf("an input needs at least one glob in include")
	}
	return m, nil
}

// Match reports whether the absolute path belongs to the input.
func (m *Matcher) Match(path string) bool {
	path = filepath.ToSlash(path)
	return matchAny(m.include, path) && !matchAny(m.exclude, path)
}

// Excluded reports whether an exclude glob matches.
func (m *Matcher) Excluded(path string) bool { return matchAny(m.exclude, filepath.ToSlash(path)) }

func matchAny(globs []string, path string) bool {
	for _, g := range globs {
		if ok, err := doublestar.Match(g, path); err == nil && ok {
			return true
		}
	}
	return false
}

// Roots are the folders that the walks of the include globs begin in.
func (m *Matcher) Roots() []string {
	var roots []string
	for _, g := range m.include {
		base, _ := doublestar.SplitPattern(g)
		roots = append(roots, filepath.FromSlash(base))
	}
	return roots
}

// Enters reports whether a file below the folder could match.
func (m *Matcher) Enters(folder string) bool {
	parts := strings.Split(strings.Trim(filepath.ToSlash(folder), "/"), "/")
	if folder == "/" {
		parts = nil
	}
	for _, g := range m.include {
		if enters(g, parts) {
			return true
		}
	}
	return false
}

func enters(glob string, parts []string) bool {
	segments := strings.Split(strings.Trim(glob, "/"), "/")
	for i, part := range parts {
		if i >= len(segments)-1 {
			return segments[min(i, len(segments)-1)] == "**"
		}
		s := segments[i]
		if s == "**" || strings.ContainsAny(s, "{}") {
			return true // alternatives may hold slashes: look rather than miss
		}
		if ok, err := doublestar.Match(s, part); err != nil || !ok {
			return false
		}
	}
	return true
}

// Related reports whether name looks like a rotated form of base, both names
// in one folder: app.log.1, app.log-20260131, app-20260131.log, app.1.log of
// app.log. Names of compressed files are not.
func Related(base, name string) bool {
	for _, ext := range []string{".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z", ".tmp", ".swp"} {
		if strings.HasSuffix(name, ext) {
			return false
		}
	}
	if rest, ok := strings.CutPrefix(name, base); ok {
		return rest != "" && strings.ContainsAny(rest[:1], ".-_~")
	}
	ext := filepath.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	rest, ok := strings.CutPrefix(name, stem)
	if !ok || ext == "" || stem == "" || !strings.HasSuffix(rest, ext) {
		return false
	}
	middle := strings.TrimSuffix(rest, ext)
	return len(middle) > 1 && strings.ContainsAny(middle[:1], ".-_") && strings.ContainsAny(middle, "0123456789")
}

// Rotated reports whether name is a numbered or dated form of base, as
// rotations make them: app.log.1, app.log-20260131, app.log.2026-01-31-10,
// app-20260131.log, app.1.log.
func Rotated(base, name string) bool {
	if !Related(base, name) {
		return false
	}
	middle, ok := strings.CutPrefix(name, base)
	if !ok {
		ext := filepath.Ext(base)
		middle = strings.TrimSuffix(strings.TrimPrefix(name, strings.TrimSuffix(base, ext)), ext)
	}
	return strings.Trim(middle, "0123456789.-_T:") == "" && strings.ContainsAny(middle, "0123456789") || middle == ".old"
}

// Bases returns the names that name may be a numbered or dated form of, in
// the sense of [Rotated].
func Bases(name string) []string {
	var bases []string
	note := func(base string) {
		if base != "" && base != name && Rotated(base, name) {
			bases = append(bases, base)
		}
	}
	trim := func(s string) string { return strings.TrimRight(s, "0123456789.-_T:") }
	note(trim(name))
	note(strings.TrimSuffix(name, ".old"))
	ext := filepath.Ext(name)
	note(trim(strings.TrimSuffix(name, ext)) + ext)
	return bases
}
