package event

import "strings"

// monthNames and dayNames in English, as log formats write them.
func monthName(month int) string {
	return [...]string{
		"January", "February", "March", "April", "May", "June", "July",
		"August", "September", "October", "November", "December",
	}[month-1]
}

func dayName(n int) string {
	return [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}[n]
}

// scanMonth reads the name of a month, in full or its first three letters, in
// any case; length is 0 when there is none.
func scanMonth(s string) (month, length int) {
	if len(s) < 3 {
		return 0, 0
	}
	key := uint32(s[0]|0x20)<<16 | uint32(s[1]|0x20)<<8 | uint32(s[2]|0x20)
	switch key {
	case 'j'<<16 | 'a'<<8 | 'n':
		month = 1
	case 'f'<<16 | 'e'<<8 | 'b':
		month = 2
	case 'm'<<16 | 'a'<<8 | 'r':
		month = 3
	case 'a'<<16 | 'p'<<8 | 'r':
		month = 4
	case 'm'<<16 | 'a'<<8 | 'y':
		month = 5
	case 'j'<<16 | 'u'<<8 | 'n':
		month = 6
	case 'j'<<16 | 'u'<<8 | 'l':
		month = 7
	case 'a'<<16 | 'u'<<8 | 'g':
		month = 8
	case 's'<<16 | 'e'<<8 | 'p':
		month = 9
	case 'o'<<16 | 'c'<<8 | 't':
		month = 10
	case 'n'<<16 | 'o'<<8 | 'v':
		month = 11
	case 'd'<<16 | 'e'<<8 | 'c':
		month = 12
	default:
		return 0, 0
	}
	return month, nameLength(s, monthName(month))
}

// scanDayName reads the name of a day of the week with the comma and blank
// after it; 0 when there is none.
func scanDayName(s string) int {
	for n := range 7 {
		name := dayName(n)
		if len(s) < 4 || !strings.EqualFold(s[:3], name[:3]) {
			continue
		}
		at := nameLength(s, name)
		if at < len(s) && s[at] == ',' {
			at++
		}
		if at < len(s) && s[at] == ' ' {
			return at + 1
		}
	}
	return 0
}

// nameLength is the length of the name where s has all of it, 3 otherwise. Next
// to 3 letters may follow no other letter.
func nameLength(s, name string) int {
	if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
		if len(s) == len(name) || !isLetter(s[len(name)]) {
			return len(name)
		}
	}
	if len(s) > 3 && isLetter(s[3]) {
		if name == "September" && s[3]|0x20 == 't' && (len(s) == 4 || !isLetter(s[4])) {
			return 4
		}
		return 0
	}
	return 3
}
