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
	// classComplexMark is a mark of such a script: part of what stands before it, or a word.
	classComplexMark
	// classEmoji is a picture, a word with what a joiner ties to it.
	classEmoji
	// classFlag is half of a flag.
	classFlag
)

// classify returns the class and the size in bytes of the first character.
func classify(text []byte) (class, int) {
	c := text[0]
	if c < utf8.RuneSelf {
		return asciiClasses[c], 1
	}
	r, size := utf8.DecodeRune(text)
	if r == utf8.RuneError && size <= 1 {
		return classOther, 1
	}
	return classifyRune(r), size
}

// asciiClasses is a table, made by the compiler, of the classes of ASCII characters; all other
// bytes are classOther in it.
var asciiClasses = [256]class{
	'_': classUnderscore, '.': classMidNumLet, '\'': classMidNumLet, ':': classMidLetter, ',': classMidNum, ';': classMidNum,
	'0': classNumber, '1': classNumber, '2': classNumber, '3': classNumber, '4': classNumber, '5': classNumber, '6': classNumber, '7': classNumber, '8': classNumber, '9': classNumber,
	'a': classLetter, 'b': classLetter, 'c': classLetter, 'd': classLetter, 'e': classLetter, 'f': classLetter, 'g': classLetter, 'h': classLetter, 'i': classLetter, 'j': classLetter, 'k': classLetter, 'l': classLetter, 'm': classLetter,
	'n': classLetter, 'o': classLetter, 'p': classLetter, 'q': classLetter, 'r': classLetter, 's': classLetter, 't': classLetter, 'u': classLetter, 'v': classLetter, 'w': classLetter, 'x': classLetter, 'y': classLetter, 'z': classLetter,
	'A': classLetter, 'B': classLetter, 'C': classLetter, 'D': classLetter, 'E': classLetter, 'F': classLetter, 'G': classLetter, 'H': classLetter, 'I': classLetter, 'J': classLetter, 'K': classLetter, 'L': classLetter, 'M': classLetter,
	'N': classLetter, 'O': classLetter, 'P': classLetter, 'Q': classLetter, 'R': classLetter, 'S': classLetter, 'T': classLetter, 'U': classLetter, 'V': classLetter, 'W': classLetter, 'X': classLetter, 'Y': classLetter, 'Z': classLetter,
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
			return classComplexMark
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
	case r >= 0x1F1E6 && r <= 0x1F1FF:
		return classFlag
	case unicode.Is(extendedPictographic, r):
		return classEmoji
	case r >= 0xFF10 && r <= 0xFF19, unicode.Is(unicode.Nd, r):
		return classNumber
	case unicode.IsLetter(r), unicode.Is(unicode.Nl, r), unicode.Is(unicode.Other_Alphabetic, r):
		return classLetter
	default:
		return classOther
	}
}

// extendedPictographic is the property of that name in Unicode's emoji-data.txt.
var extendedPictographic = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x00A9, 0x00A9, 1},
		{0x00AE, 0x00AE, 1},
		{0x203C, 0x203C, 1},
		{0x2049, 0x2049, 1},
		{0x2122, 0x2122, 1},
		{0x2139, 0x2139, 1},
		{0x2194, 0x2199, 1},
		{0x21A9, 0x21AA, 1},
		{0x231A, 0x231B, 1},
		{0x2328, 0x2328, 1},
		{0x2388, 0x2388, 1},
		{0x23CF, 0x23CF, 1},
		{0x23E9, 0x23F3, 1},
		{0x23F8, 0x23FA, 1},
		{0x24C2, 0x24C2, 1},
		{0x25AA, 0x25AB, 1},
		{0x25B6, 0x25B6, 1},
		{0x25C0, 0x25C0, 1},
		{0x25FB, 0x25FE, 1},
		{0x2600, 0x2605, 1},
		{0x2607, 0x2612, 1},
		{0x2614, 0x2685, 1},
		{0x2690, 0x2705, 1},
		{0x2708, 0x2712, 1},
		{0x2714, 0x2714, 1},
		{0x2716, 0x2716, 1},
		{0x271D, 0x271D, 1},
		{0x2721, 0x2721, 1},
		{0x2728, 0x2728, 1},
		{0x2733, 0x2734, 1},
		{0x2744, 0x2744, 1},
		{0x2747, 0x2747, 1},
		{0x274C, 0x274C, 1},
		{0x274E, 0x274E, 1},
		{0x2753, 0x2755, 1},
		{0x2757, 0x2757, 1},
		{0x2763, 0x2767, 1},
		{0x2795, 0x2797, 1},
		{0x27A1, 0x27A1, 1},
		{0x27B0, 0x27B0, 1},
		{0x27BF, 0x27BF, 1},
		{0x2934, 0x2935, 1},
		{0x2B05, 0x2B07, 1},
		{0x2B1B, 0x2B1C, 1},
		{0x2B50, 0x2B50, 1},
		{0x2B55, 0x2B55, 1},
		{0x3030, 0x3030, 1},
		{0x303D, 0x303D, 1},
		{0x3297, 0x3297, 1},
		{0x3299, 0x3299, 1},
	},
	R32: []unicode.Range32{
		{0x1F000, 0x1F0FF, 1},
		{0x1F10D, 0x1F10F, 1},
		{0x1F12F, 0x1F12F, 1},
		{0x1F16C, 0x1F171, 1},
		{0x1F17E, 0x1F17F, 1},
		{0x1F18E, 0x1F18E, 1},
		{0x1F191, 0x1F19A, 1},
		{0x1F1AD, 0x1F1E5, 1},
		{0x1F201, 0x1F20F, 1},
		{0x1F21A, 0x1F21A, 1},
		{0x1F22F, 0x1F22F, 1},
		{0x1F232, 0x1F23A, 1},
		{0x1F23C, 0x1F23F, 1},
		{0x1F249, 0x1F3FA, 1},
		{0x1F400, 0x1F53D, 1},
		{0x1F546, 0x1F64F, 1},
		{0x1F680, 0x1F6FF, 1},
		{0x1F774, 0x1F77F, 1},
		{0x1F7D5, 0x1F7FF, 1},
		{0x1F80C, 0x1F80F, 1},
		{0x1F848, 0x1F84F, 1},
		{0x1F85A, 0x1F85F, 1},
		{0x1F888, 0x1F88F, 1},
		{0x1F8AE, 0x1F8FF, 1},
		{0x1F90C, 0x1F93A, 1},
		{0x1F93C, 0x1F945, 1},
		{0x1F947, 0x1FAFF, 1},
		{0x1FC00, 0x1FFFD, 1},
	},
	LatinOffset: 2,
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
