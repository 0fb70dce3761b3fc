//go:build race

package broker

// poolLosses is how many allocations more a request may need under the race
// detector, where sync.Pool drops a quarter of what it is given.
const poolLosses = 2
