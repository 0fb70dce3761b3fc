package coordinator

// Waiting holds the reply functions of the requests that a machine has not answered
// yet, each under a token. The zero value is ready for use.
type Waiting[Token ~uint64, R any] struct {
	last    Token
	replies map[Token]func(R)
}

// Add keeps a reply function and returns its token.
func (w *Waiting[Token, R]) Add(reply func(R)) Token {
	if w.replies == nil {
		w.replies = map[Token]func(R){}
	}
	w.last++
	w.replies[w.last] = reply
	return w.last
}

// Take returns the reply function of a request whose answer has come.
func (w *Waiting[Token, R]) Take(token Token) func(R) {
	reply, ok := w.replies[token]
	if !ok {
		panic("a coordinator answers a request twice")
	}
	delete(w.replies, token)
	return reply
}

// MustBeEmpty panics when a request was left without an answer.
func (w *Waiting[Token, R]) MustBeEmpty() {
	if len(w.replies) > 0 {
		panic("requests without an answer are left in a coordinator")
	}
}
