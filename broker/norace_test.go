//go:build !race

package broker

// poolLosses is nothing: see the file for the race detector.
const poolLosses = 0
