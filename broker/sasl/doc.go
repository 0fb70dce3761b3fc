// Package sasl authenticates clients as the server of Kafka's SASL exchange: the
// mechanisms PLAIN (RFC 4616), SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC
// 7677), and the order in which a connection may send what.
//
// # Parts
//
// A [Session] is the state of one connection: which request may come next, which
// mechanism is under way, who the client is, and when it has to authenticate
// again (KIP-368). It is a pure core: no clock and no socket, the time is an
// argument. It belongs to the goroutine that reads the connection.
//
// A [Policy] is shared by the connections of a listener: the mechanisms that it
// offers and where credentials come from.
//
// # Secrets
//
// [Credential] is what SCRAM stores of a password: salt, iterations, stored key
// and server key. Neither the password nor the salted password can be had from
// it. Errors that reach a client say nothing about which part was wrong, and a
// user that does not exist gets a salt like one who does.
package sasl
