// Package bench measures Millrace beside its peers, on the same machine and in
// the same run, and writes the figures to docs/benchmarks.md.
//
// Timings on a shared machine are noisy: each figure is the median of several
// alternating runs, ratios are what counts, and processor time before wall
// time. Run it with "make bench".
package bench
