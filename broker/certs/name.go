package certs

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// attribute is one part of a name as it stands in a certificate.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// relativeSET is a set of attributes; the suffix SET tells encoding/asn1 so.
type relativeSET []attribute

// DistinguishedName writes a certificate's subject (x509.Certificate.RawSubject) as
// Java's X500Principal.getName does, in the form of RFC 2253: the last part first,
// with the keywords that the RFC has; other attributes have their number and
// the value in hexadecimal.
func DistinguishedName(rawSubject []byte) (string, error) {
	var sets []relativeSET
	if rest, err := asn1.Unmarshal(rawSubject, &sets); err != nil || len(rest) > 0 {
		return "", fmt.Errorf("the subject of a certificate cannot be read: %w", err)
	}
	parts := make([]string, 0, len(sets))
	for _, set := range slices.Backward(sets) {
		attributes := make([]string, len(set))
		for j, a := range set {
			attributes[j] = a.String()
		}
		parts = append(parts, strings.Join(attributes, "+"))
	}
	return strings.Join(parts, ","), nil
}

// String writes the attribute as keyword=value or number=#hexadecimal.
func (a attribute) String() string {
	keyword, text := keywordOf(a.Type.String()), ""
	ok := keyword != ""
	if ok {
		text, ok = a.text()
	}
	switch {
	case ok:
		return keyword + "=" + escape(text)
	case keyword == "":
		keyword = a.Type.String()
	}
	return keyword + "=#" + hex.EncodeToString(a.Value.FullBytes)
}

func keywordOf(oid string) string {
	switch oid {
	case "2.5.4.3":
		return "CN"
	case "2.5.4.6":
		return "C"
	case "2.5.4.7":
		return "L"
	case "2.5.4.8":
		return "ST"
	case "2.5.4.9":
		return "STREET"
	case "2.5.4.10":
		return "O"
	case "2.5.4.11":
		return "OU"
	case "0.9.2342.19200300.100.1.1":
		return "UID"
	case "0.9.2342.19200300.100.1.25":
		return "DC"
	}
	return ""
}

// text decodes the value; ok is false when it is not a string.
func (a attribute) text() (s string, ok bool) {
	if a.Value.Class != asn1.ClassUniversal {
		return "", false
	}
	b := a.Value.Bytes
	switch a.Value.Tag {
	case asn1.TagPrintableString, asn1.TagIA5String, asn1.TagUTF8String, asn1.TagGeneralString:
		return strings.ToValidUTF8(string(b), "\ufffd"), true
	case asn1.TagT61String:
		runes := make([]rune, len(b)) // Latin-1
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes), true
	case asn1.TagBMPString:
		if len(b)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

// escape follows RFC 2253, section 2.4, with what Java adds: the equals sign,
// "#" anywhere, and spaces at both ends.
func escape(s string) string {
	lead := len(s) - len(strings.TrimLeft(s, " \r"))
	trail := len(strings.TrimRight(s, " \r"))
	var out strings.Builder
	for i, r := range s {
		switch {
		case r == 0:
			out.WriteString(`\00`)
			continue
		case strings.ContainsRune(`,=+<>#;"\`, r), i < lead, i >= trail:
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}
