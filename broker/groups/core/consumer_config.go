package core

import "strconv"

// configured is a config of a group as a number, the broker's where it is not set.
func configured(set map[string]string, name string, otherwise int32) int32 {
	v, ok := set[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return otherwise // it was checked when it was set
	}
	return int32(n)
}
