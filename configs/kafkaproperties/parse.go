package kafkaproperties

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/millrace/millrace/configs"
)

// Entry is one key of a file with its value.
type Entry struct {
	Key, Value string
	// Line is where the entry begins, counted from 1; 0 for an override.
	Line int
}

// File is a file of properties. Of a key that is there several times the last
// one counts, as in Java.
type File struct {
	Name    string
	Entries []Entry
}

// Load reads a file.
func Load(name string) (*File, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return Parse(name, content)
}

// Parse reads the syntax of java.util.Properties: comments with # and !, keys
// that end at =, : or white space, lines that go on after a backslash, escapes
// \t \n \r \f \uXXXX. Bytes are characters of ISO 8859-1. It returns configs.Errors.
func Parse(name string, content []byte) (*File, error) {
	f := &File{Name: name}
	var errs configs.Errors
	for _, l := range logicalLines(string(latin1(content))) {
		key, value := split(l.text)
		k, err := unescape(key)
		v, err2 := unescape(value)
		if !err || !err2 {
			errs = append(errs, &configs.FieldError{File: name, Line: l.number, Column: 1, Msg: `\u must be followed by four hexadecimal digits`})
			continue
		}
		f.Entries = append(f.Entries, Entry{k, v, l.number})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return f, nil
}

func latin1(b []byte) []rune {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return out
}

type line struct {
	text   string
	number int
}

const blanks = " \t\f"

// logicalLines joins lines that end in an odd number of backslashes with the
// next, without that one's leading blanks. Comments and empty lines are left out.
func logicalLines(content string) []line {
	var out []line
	content = strings.ReplaceAll(strings.ReplaceAll(content, "\r\n", "\n"), "\r", "\n")
	joined, begun := "", 0
	for i, text := range strings.Split(content, "\n") {
		text = strings.TrimLeft(text, blanks)
		if begun == 0 {
			if text == "" || text[0] == '#' || text[0] == '!' {
				continue
			}
			begun = i + 1
		}
		if slashes := len(text) - len(strings.TrimRight(text, `\`)); slashes%2 == 1 {
			joined += text[:len(text)-1]
			continue
		}
		out = append(out, line{joined + text, begun})
		joined, begun = "", 0
	}
	if begun > 0 {
		out = append(out, line{joined, begun})
	}
	return out
}

// split cuts a line at the first =, : or blank that no backslash precedes.
func split(text string) (key, value string) {
	end := len(text)
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++
			continue
		}
		if strings.IndexByte(blanks+"=:", text[i]) >= 0 {
			end = i
			break
		}
	}
	key, value = text[:end], strings.TrimLeft(text[end:], blanks)
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], blanks)
	}
	return key, value
}

func unescape(s string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var out []rune
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		if runes[i] != '\\' || i+1 == len(runes) {
			out = append(out, runes[i])
			continue
		}
		i++
		switch c := runes[i]; c {
		case 't':
			out = append(out, '\t')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 'f':
			out = append(out, '\f')
		case 'u':
			if i+5 > len(runes) {
				return "", false
			}
			n, err := strconv.ParseUint(string(runes[i+1:i+5]), 16, 16)
			if err != nil {
				return "", false
			}
			out = append(out, rune(n))
			i += 4
		default:
			out = append(out, c)
		}
	}
	return string(joinSurrogates(out)), true
}

// joinSurrogates makes one character of two \u escapes that stand for it.
func joinSurrogates(runes []rune) []rune {
	var out []rune
	for i := 0; i < len(runes); i++ {
		if i+1 < len(runes) && utf16.IsSurrogate(runes[i]) {
			if r := utf16.DecodeRune(runes[i], runes[i+1]); r != '\uFFFD' {
				out = append(out, r)
				i++
				continue
			}
		}
		out = append(out, runes[i])
	}
	return out
}

// Override adds a key that counts instead of the file's, written key=value.
func (f *File) Override(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || strings.TrimSpace(key) == "" {
		return &configs.FieldError{File: "--override", Msg: strconv.Quote(s) + " is not of the form key=value"}
	}
	f.Entries = append(f.Entries, Entry{Key: strings.TrimSpace(key), Value: strings.TrimSpace(value)})
	return nil
}

// Get returns the value of a key that counts.
func (f *File) Get(key string) (Entry, bool) {
	for _, e := range slices.Backward(f.Entries) {
		if e.Key == key {
			return e, true
		}
	}
	return Entry{}, false
}
