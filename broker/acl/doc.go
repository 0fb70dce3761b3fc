// Package acl decides what a client may do, by the rules of Apache Kafka's
// StandardAuthorizer (KIP-11, KIP-290, KIP-679, KIP-801).
//
// # Rules
//
// A [Binding] allows or denies one operation on the resources of a pattern to one
// principal from one host. A pattern is literal, with the name "*" for every
// resource of a type, or a prefix. Whatever denies wins. Where nothing matches, a
// resource that has any binding is denied, and one that has none as the
// [Authorizer] is configured. Allowing to read, write, delete or alter includes
// describing, and allowing to alter configs includes describing them; denying
// includes nothing.
//
// # Use
//
// An [Index] holds the bindings. It is immutable: [Index.With] returns another one that
// shares what did not change, so whoever has an index may ask it from any
// goroutine, without locks, for as long as they like. The metadata image has the
// one that is in force.
//
// The package is pure: no clock, no disk, no sockets.
package acl
