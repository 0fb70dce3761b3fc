package event

import "strings"

// levelBytesMax is how far into a line its level is looked for.
const levelBytesMax = 160

// isLevelWord reports whether a word, in any case, is the name of a level.
func isLevelWord(word string) bool {
	const lengthMax = 13
	if len(word) < 3 || len(word) > lengthMax {
		return false
	}
	var buf [lengthMax]byte
	for i := range len(word) {
		buf[i] = word[i] | 0x20
	}
	switch string(buf[:len(word)]) {
	case "trace", "finest", "finer", "debug", "dbg", "fine", "verbose", "info", "inf", "information", "informational",
		"notice", "warn", "warning", "wrn", "error", "err", "eror", "severe", "critical", "crit", "alert",
		"emerg", "emergency", "panic", "fatal":
		return true
	}
	return false
}

// FindLevel returns the level that a line names near its beginning: a word in
// capital letters (ERROR), one in brackets ([error], <warn>), one after
// "level=" or "severity:", or the letter that klog begins a line with. A plain
// word of a sentence ("no error found") does not count. The result is the word as
// the line has it, as ECS asks for log.level; a klog letter becomes info,
// warning, error or fatal; "" is none.
func FindLevel(line string) string {
	head := line[:min(len(line), levelBytesMax)]
	for at := 0; at < len(head); {
		if !isLetter(head[at]) {
			at++
			continue
		}
		end := at + 1
		for end < len(head) && isLetter(head[end]) {
			end++
		}
		if word := head[at:end]; isLevelWord(word) && isLevelAt(head, at, end) {
			return word
		}
		at = end
	}
	return klogLevel(line)
}

// isLevelAt reports whether the word head[at:end] stands where levels do.
func isLevelAt(head string, at, end int) bool {
	before, after := byte(' '), byte(' ')
	if at > 0 {
		before = head[at-1]
	}
	if end < len(head) {
		after = head[end]
	}
	word := head[at:end]
	switch {
	case before == '[' && (after == ']' || after == ' '), before == '<' && after == '>', before == '(' && after == ')', before == '|' && after == '|':
		return true
	case before == ':' && after == ']': // Apache 2.4: [core:error]
		return true
	case (before == '=' || before == ':' || before == '"') && namesLevel(head[:at]):
		return true
	case strings.ToUpper(word) == word:
		return strings.IndexByte(" \t[]|(){}:,-\"'=/", before) >= 0 && strings.IndexByte(" \t[]|(){}:,-\"'=/", after) >= 0
	}
	return false
}

// namesLevel reports whether text ends with a key that a level follows.
func namesLevel(text string) bool {
	text = strings.TrimRight(text, "=:\" ")
	for _, key := range [...]string{"level", "lvl", "severity", "levelname", "loglevel"} {
		if len(text) >= len(key) && strings.EqualFold(text[len(text)-len(key):], key) {
			return true
		}
	}
	return false
}

// klogLevel reads the first letter of "E0102 15:04:05".
func klogLevel(line string) string {
	if len(line) < 14 || line[5] != ' ' || line[8] != ':' {
		return ""
	}
	if _, ok := digits(line[1:5]); !ok {
		return ""
	}
	switch line[0] {
	case 'I':
		return "info"
	case 'W':
		return "warning"
	case 'E':
		return "error"
	case 'F':
		return "fatal"
	case 'D':
		return "debug"
	}
	return ""
}

// levelOf reads the level out of a field's value: a word, or the number that
// bunyan and pino write.
func levelOf(v Value) string {
	switch v.kind {
	case KindString:
		if word := strings.TrimSpace(v.str); isLevelWord(word) {
			return word
		}
	case KindInt:
		switch int64(v.num) {
		case 10:
			return "trace"
		case 20:
			return "debug"
		case 30:
			return "info"
		case 40:
			return "warning"
		case 50:
			return "error"
		case 60:
			return "fatal"
		}
	}
	return ""
}
