package kafka

import "github.com/xdg-go/scram"

// scramClient is the client's side of SCRAM for sarama. Names and passwords are
// not normalised (SASLprep): Apache Kafka and its clients do not either.
type scramClient struct {
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

// Begin starts an exchange.
func (c *scramClient) Begin(user, password, authorizationID string) error {
	client, err := c.hash.NewClientUnprepped(user, password, authorizationID)
	if err != nil {
		return err
	}
	c.conversation = client.NewConversation()
	return nil
}

// Step answers what the server sent.
func (c *scramClient) Step(challenge string) (string, error) { return c.conversation.Step(challenge) }

// Done reports whether the exchange has ended.
func (c *scramClient) Done() bool { return c.conversation.Done() }
