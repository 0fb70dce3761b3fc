package sasl

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
)

// scram is the server's side of SCRAM without channel binding. Nothing is
// normalised (SASLprep), as in Apache Kafka and librdkafka.
type scram struct {
	mechanism string
	hash      func() hash.Hash
	lookup    func(user string) Credential
	nonce     func() string
	state     int

	user        string
	credential  Credential
	header      string // gs2-header of the client's first message
	clientFirst string // that message without the header
	serverFirst string
	serverNonce string // the client's nonce followed by ours
}

const (
	scramFirst = iota
	scramFinal
	scramEnd
)

func newScram(mechanism string, lookup func(user string) Credential) *scram {
	h, _ := scramHash(mechanism)
	return &scram{mechanism: mechanism, hash: h, lookup: lookup, nonce: newNonce}
}

func newNonce() string {
	var b [nonceBytes]byte
	rand.Read(b[:]) // never fails
	return base64.RawStdEncoding.EncodeToString(b[:])
}

// User implements [Mechanism].
func (s *scram) User() string { return s.user }

// Next implements [Mechanism].
func (s *scram) Next(token []byte) (answer []byte, done bool, err error) {
	state := s.state
	s.state = scramEnd
	switch {
	case len(token) > messageBytesMax:
		return nil, false, fmt.Errorf("%w: %d bytes", errBadToken, len(token))
	case state == scramFirst:
		if answer, err = s.first(string(token)); err == nil {
			s.state = scramFinal
		}
		return answer, false, err
	case state == scramFinal:
		answer, err = s.final(string(token))
		return answer, err == nil, err
	}
	return nil, false, errCompleted
}

// first answers gs2-cbind-flag "," [ "a=" authzid ] "," "n=" user ",r=" nonce.
// Extensions after the nonce are ignored.
func (s *scram) first(message string) ([]byte, error) {
	parts := strings.Split(message, ",")
	if len(parts) < 4 {
		return nil, errBadToken
	}
	if flag := parts[0]; flag != "n" && flag != "y" {
		return nil, errChannel
	}
	s.header = parts[0] + "," + parts[1] + ","
	s.clientFirst = message[len(s.header):]
	authorizationID, err := saslName(parts[1], "a=", true)
	if err != nil {
		return nil, err
	}
	if s.user, err = saslName(parts[2], "n=", false); err != nil {
		return nil, err
	}
	nonce, ok := strings.CutPrefix(parts[3], "r=")
	if !ok || nonce == "" || !printable(nonce) {
		return nil, fmt.Errorf("%w: nonce", errBadToken)
	}
	if authorizationID != "" && authorizationID != s.user {
		return nil, &Failure{Message: "Authentication failed: Client requested an authorization id that is different from username"}
	}
	s.credential = s.lookup(s.user)
	s.serverNonce = nonce + s.nonce()
	s.serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", s.serverNonce, base64.StdEncoding.EncodeToString(s.credential.Salt), s.credential.Iterations)
	return []byte(s.serverFirst), nil
}

// final answers "c=" channel-binding ",r=" nonce [ extensions ] ",p=" proof.
//
// librdkafka before 2.6.1 puts its own nonce twice in front of the server's part. It
// is enough that the nonce ends with ours, which is what makes the exchange unique; the
// proof covers whatever was sent. Apache Kafka did so too; 4.1.1 wants the same nonce
// and refuses these clients.
func (s *scram) final(message string) ([]byte, error) {
	cut := strings.LastIndex(message, ",p=")
	if cut < 0 {
		return nil, fmt.Errorf("%w: proof", errBadToken)
	}
	withoutProof := message[:cut]
	proof, err := base64.StdEncoding.DecodeString(message[cut+len(",p="):])
	if err != nil {
		return nil, fmt.Errorf("%w: proof", errBadToken)
	}
	parts := strings.Split(withoutProof, ",")
	if len(parts) < 2 {
		return nil, errBadToken
	}
	binding, ok := strings.CutPrefix(parts[0], "c=")
	if header, err := base64.StdEncoding.DecodeString(binding); !ok || err != nil || string(header) != s.header {
		return nil, fmt.Errorf("%w: channel binding", errBadToken)
	}
	nonce, ok := strings.CutPrefix(parts[1], "r=")
	if !ok || !strings.HasSuffix(nonce, s.serverNonce) {
		return nil, errBadNonce
	}
	return s.verify([]byte(s.clientFirst+","+s.serverFirst+","+withoutProof), proof)
}

// verify compares the key that the proof gives with the stored one and proves
// the server's own knowledge.
func (s *scram) verify(authMessage, proof []byte) ([]byte, error) {
	signature := mac(s.hash, s.credential.StoredKey, authMessage)
	if len(proof) != len(signature) {
		return nil, errBadProof
	}
	clientKey := make([]byte, len(proof))
	subtle.XORBytes(clientKey, proof, signature)
	if subtle.ConstantTimeCompare(sum(s.hash, clientKey), s.credential.StoredKey) != 1 {
		return nil, errBadProof
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(s.hash, s.credential.ServerKey, authMessage))), nil
}

// saslName decodes a name with its prefix, in which "=2C" and "=3D" stand for comma
// and equals sign.
func saslName(part, prefix string, optional bool) (string, error) {
	if part == "" && optional {
		return "", nil
	}
	name, ok := strings.CutPrefix(part, prefix)
	if !ok || name == "" {
		return "", fmt.Errorf("%w: name", errBadToken)
	}
	decoded := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name)
	if strings.Count(name, "=") != strings.Count(name, "=2C")+strings.Count(name, "=3D") || strings.ContainsRune(decoded, 0) {
		return "", fmt.Errorf("%w: name", errBadToken)
	}
	return decoded, nil
}

// printable reports whether a nonce has only the characters that it may have.
func printable(nonce string) bool {
	return !bytes.ContainsFunc([]byte(nonce), func(r rune) bool { return r < 0x21 || r > 0x7e })
}
