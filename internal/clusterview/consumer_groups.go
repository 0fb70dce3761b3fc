package clusterview

import (
	"context"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// consumerType is the type of groups of the new protocol (KIP-848), as brokers list it.
const consumerType = "consumer"

// consumerGroups describes groups of the new protocol, which sarama does not know.
func (v *View) consumerGroups(names []string) ([]Group, error) {
	if len(names) == 0 {
		return nil, nil
	}
	client, err := kgo.NewClient(kgoOptions(v.client.Config(), v.brokers)...)
	if err != nil {
		return nil, fmt.Errorf("describe consumer groups: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), v.client.Config().Admin.Timeout)
	defer cancel()
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = names
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("describe consumer groups: %w", Explain(err, v.brokers))
	}
	groups := make([]Group, 0, len(resp.Groups))
	for _, d := range resp.Groups {
		if err := kerr.ErrorForCode(d.ErrorCode); err != nil {
			return nil, fmt.Errorf("describe consumer group %q: %w", d.Group, err)
		}
		groups = append(groups, groupOf(d))
	}
	return groups, nil
}

func groupOf(d kmsg.ConsumerGroupDescribeResponseGroup) Group {
	g := Group{
		Name: d.Group, State: d.State, Type: consumerType, ProtocolType: "consumer", Members: []Member{}, Offsets: []GroupOffset{},
		Epoch: d.Epoch, TargetEpoch: d.AssignmentEpoch, Assignor: d.AssignorName,
	}
	for _, m := range d.Members {
		member := Member{
			ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Epoch: m.MemberEpoch,
			Assignment: assignmentOf(m.Assignment), Target: assignmentOf(m.TargetAssignment),
		}
		if m.InstanceID != nil {
			member.InstanceID = *m.InstanceID
		}
		switch m.MemberType {
		case 0:
			member.Protocol = "classic"
		case 1:
			member.Protocol = consumerType
		}
		g.Members = append(g.Members, member)
	}
	return g
}

func assignmentOf(a kmsg.Assignment) map[string][]int32 {
	out := map[string][]int32{}
	for _, t := range a.TopicPartitions {
		out[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
	}
	return out
}

// kgoOptions reach the same brokers in the same way as sarama's configuration.
func kgoOptions(c *sarama.Config, brokers []string) []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(brokers...), kgo.ClientID(c.ClientID), kgo.DialTimeout(c.Net.DialTimeout)}
	if c.Net.TLS.Enable {
		opts = append(opts, kgo.DialTLSConfig(c.Net.TLS.Config))
	}
	if !c.Net.SASL.Enable {
		return opts
	}
	user, pass := c.Net.SASL.User, c.Net.SASL.Password
	switch c.Net.SASL.Mechanism {
	case sarama.SASLTypeSCRAMSHA256:
		return append(opts, kgo.SASL(scram.Auth{User: user, Pass: pass}.AsSha256Mechanism()))
	case sarama.SASLTypeSCRAMSHA512:
		return append(opts, kgo.SASL(scram.Auth{User: user, Pass: pass}.AsSha512Mechanism()))
	}
	return append(opts, kgo.SASL(plain.Auth{User: user, Pass: pass}.AsMechanism()))
}
