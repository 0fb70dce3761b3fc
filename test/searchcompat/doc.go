// Package searchcompat holds the requests that the embedded search node and a real
// Elasticsearch must answer alike: the same hits and aggregations under a sort
// without ties, the same status and type of errors.
package searchcompat
