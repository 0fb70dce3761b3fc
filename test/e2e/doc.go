// Package e2e tests the whole product by its built binary: files are written
// and rotated, processes are killed, and what is found in topics and by search
// is compared with what was written.
package e2e
