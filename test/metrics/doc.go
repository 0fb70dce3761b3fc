// Package metrics holds tests of what Millrace tells Prometheus: docs/metrics.md is made from
// the code here, and the dashboards and alert rules under packaging are held against it.
package metrics
