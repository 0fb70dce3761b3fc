package analysis

import (
	"unicode"
	"unicode/utf8"
)

// class is the part that a character plays at word boundaries.
type class uint8

const (
	classOther class = iota
	// classLetter is ALetter and Hebrew_Letter.
	classLetter
	// classNumber is Numeric.
	classNumber
	// classKatakana joins with itself.
	classKatakana
	// classUnderscore is ExtendNumLet.
	classUnderscore
	// classMidLetter stands between letters.
	classMidLetter
	// classMidNum stands between digits.
	classMidNum
	// classMidNumLet stands between letters and between digits.
	classMidNumLet
	// classExtend belongs to the character before it.
	classExtend
	// classSingle is a word by itself: ideographs, Hiragana, emoji.
	classSingle
	// classComplex is a script without spaces that is kept in one run: Thai, Lao, Khmer, Myanmar.
	classComplex
)

// classify returns the class and the size in bytes of the first character.
func classify(text []byte) (class, int) {
	c := text[0]
	if c < utf8.RuneSelf {
		return classifyASCII(c), 1
	}
	r, size := utf8.DecodeRune(text)
	if r == utf8.RuneError && size <= 1 {
		return classOther, 1
	}
	return classifyRune(r), size
}

func classifyASCII(c byte) class {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		return classLetter
	case '0' <= c && c <= '9':
		return classNumber
	case c == '_':
		return classUnderscore
	case c == '.', c == '\'':
		return classMidNumLet
	case c == ':':
		return classMidLetter
	case c == ',', c == ';':
		return classMidNum
	default:
		return classOther
	}
}

func classifyRune(r rune) class {
	switch r {
	case 0x00B7, 0x0387, 0x055F, 0x05F4, 0x2027, 0xFE13, 0xFE55, 0xFF1A:
		return classMidLetter
	case 0x2018, 0x2019, 0x2024, 0xFE52, 0xFF07, 0xFF0E:
		return classMidNumLet
	case 0x037E, 0x0589, 0x060C, 0x060D, 0x066C, 0x07F8, 0x2044, 0xFE10, 0xFE14, 0xFE50, 0xFE54, 0xFF0C, 0xFF1B:
		return classMidNum
	case 0x203F, 0x2040, 0x2054, 0xFE33, 0xFE34, 0xFE4D, 0xFE4E, 0xFE4F, 0xFF3F, 0x202F:
		return classUnderscore
	case 0x066B:
		return classNumber
	case 0x200B:
		return classOther
	case 0x30FC, 0xFF70, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x309B, 0x309C, 0x30A0:
		return classKatakana
	}
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc, unicode.Cf):
		if unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
			return classComplex
		}
		return classExtend
	case unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) && !unicode.Is(unicode.Nd, r):
		if unicode.IsLetter(r) {
			return classComplex
		}
		return classOther
	case unicode.In(r, unicode.Han, unicode.Hiragana):
		return classSingle
	case unicode.Is(unicode.Katakana, r):
		return classKatakana
	case isEmoji(r):
		return classSingle
	case r >= 0xFF10 && r <= 0xFF19, unicode.Is(unicode.Nd, r):
		return classNumber
	case unicode.IsLetter(r), unicode.Is(unicode.Nl, r), unicode.Is(unicode.Other_Alphabetic, r):
		return classLetter
	default:
		return classOther
	}
}

// isEmoji covers the blocks whose characters are pictures by default.
func isEmoji(r rune) bool {
	return r >= 0x1F300 && r <= 0x1F64F || r >= 0x1F680 && r <= 0x1F6FF || r >= 0x1F900 && r <= 0x1FAFF
}

// joins reports whether two neighbours stay in one word (WB5, WB8 to WB10, WB13).
// The first character of a word follows classOther.
func joins(previous, next class) bool {
	switch next {
	case classLetter, classNumber:
		return previous != classKatakana
	case classKatakana:
		return previous == classKatakana || previous == classUnderscore || previous == classOther
	case classUnderscore:
		return true
	default:
		return false
	}
}

func isMiddle(c class) bool {
	return c == classMidLetter || c == classMidNum || c == classMidNumLet
}
