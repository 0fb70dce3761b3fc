// Package soak puts a broker under mixed load and looks at what it holds:
// memory, descriptors and goroutines have to stay level, and to come back to
// where they were once the clients are gone.
//
// "make soak" takes 30 minutes; "go test" runs a short form, which looks only at
// what is left behind.
package soak
