// Package wire is the broker's side of Kafka's protocol over TCP: it reads
// request frames, checks and decodes them, hands them to the handlers of a
// table of APIs, and writes the responses of a connection in request order.
//
// # Ownership and goroutines
//
// A [Server] owns its listeners and its connections. A connection has two
// goroutines, which live as long as it does: the reader takes frames from the
// socket and calls the API's handler, and the writer waits for the oldest
// unanswered request, encodes its response and writes it. No goroutine is
// started per request. A handler may answer at once, later from any goroutine
// ([Request.Reply]), or leave the work to the writer ([Request.ReplyRender]),
// which is what a long-polling fetch does.
//
// # Bounds
//
// Before a frame's body is read its bytes, and what decoding may make of them,
// are reserved in the node-wide [Budget]. A reservation is never held while
// another one is waited for, so the budget cannot deadlock: the reader waits
// for a free in-flight slot before it reserves, and a response is reserved by
// the writer, who holds nothing else. A body is checked against the API's
// schema before kmsg decodes it: every array length must be justified by the
// bytes that follow, and the memory that decoding will take must fit in the
// reservation.
//
// # Failures
//
// Whatever a client sends, the worst that happens is that its connection is
// closed with one rate-limited log line. Frames too large or negative, bodies
// that do not decode, unknown APIs and versions, and clients that stop
// reading or sending in the middle are all of this kind.
package wire
