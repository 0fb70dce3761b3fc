package sasl

import "strings"

// plain is PLAIN: one token with authorization id, user and password.
type plain struct {
	verify func(user, password string) bool
	user   string
}

// User implements [Mechanism].
func (p *plain) User() string { return p.user }

// Next implements [Mechanism]. The messages are those of Apache Kafka.
func (p *plain) Next(token []byte) ([]byte, bool, error) {
	parts := strings.SplitN(string(token), "\x00", 4)
	if len(parts) != 3 {
		return nil, false, &Failure{Message: "Invalid SASL/PLAIN response: expected 3 tokens, got " + string(rune('0'+len(parts)))}
	}
	authorizationID, user, password := parts[0], parts[1], parts[2]
	p.user = user
	switch {
	case user == "":
		return nil, false, &Failure{Message: "Authentication failed: username not specified"}
	case password == "":
		return nil, false, &Failure{Message: "Authentication failed: password not specified"}
	case !p.verify(user, password):
		return nil, false, &Failure{Message: "Authentication failed: Invalid username or password"}
	case authorizationID != "" && authorizationID != user:
		return nil, false, &Failure{Message: "Authentication failed: Client requested an authorization id that is different from username"}
	}
	return []byte{}, true, nil
}
