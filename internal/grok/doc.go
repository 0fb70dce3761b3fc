// Package grok matches lines against named patterns: %{IP:source.ip} is the
// regular expression called IP, whose match becomes the field source.ip. It has
// the public set of patterns, with the field names of ECS or the older ones.
//
//	lib := grok.ECS()
//	p, err := lib.Compile(`%{COMBINEDAPACHELOG}`)
//	ok := p.Match(line, func(f grok.Field, text string) { ... })
//
// # The language
//
// Patterns are regular expressions in RE2's syntax, with what patterns written
// for Oniguruma (Logstash) use beside it: (?<name>…) captures a field,
// unnamed groups do not capture, ^ and $ match at every line of the text, \h is
// a hexadecimal digit, classes may contain classes. Look-behind and look-ahead
// are available for one character: (?<![0-9]), (?=[^a-z]). Atomic groups and
// possessive repetitions are taken as plain ones. Back-references and
// longer look-around are refused with the place of the problem.
//
// # The engine
//
// A pattern is compiled (compile.go) into instructions that a backtracking
// machine runs (backtrack.go). What makes it fast on log lines: literals and runs
// of a class are single instructions; for every instruction it is known which
// bytes can come next, so that most choices are decided by one byte and
// remember nothing; and a text that the pattern must contain is looked for first.
// The machine's work on a line is bounded; a line that needs more is given to
// a second machine (parallel.go) that follows all choices at once, in time
// proportional to the length of the line. So no pattern and no line can make it
// hang. Both give the same match, that of Go's regexp package: the leftmost, and
// of those the one that backtracking finds first.
//
// A [Library] and a [Pattern] are immutable and safe for concurrent use.
//
// Source: the definitions follow logstash-patterns-core (Apache License 2.0),
// see docs/decisions and NOTICE.
package grok
