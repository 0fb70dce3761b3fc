// Package certs gives listeners their TLS settings from PEM files, and users'
// names to client certificates.
//
// A [Source] owns the settings of one listener. It looks at its files on
// handshakes, at most once a second, and swaps the settings for all handshakes
// that follow when they have changed; connections that are open stay as they
// are. Files that cannot be used leave the old settings in place, with one log
// line for each state of the files. A Source has no goroutine and needs no end;
// it is safe for concurrent use.
//
// [DistinguishedName] writes names as Java does, since the principals in
// operators' access control lists come from there, and [Rules] are Kafka's
// ssl.principal.mapping.rules.
package certs
