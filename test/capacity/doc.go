// Package capacity tests what a broker does at the limits of its machine, by
// the built binary: a disk that is full, and many more partitions than there are
// descriptors.
package capacity
