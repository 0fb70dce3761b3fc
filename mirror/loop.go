package mirror

import (
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// memberPrefix begins the client id of a mirror's members on its source; the
// id of the target cluster follows.
const memberPrefix = "millrace-mirror-to-"

func memberID(targetID string) string { return memberPrefix + targetID }

// clusterID asks a cluster for its id.
func clusterID(client sarama.Client) (string, error) {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		return "", sarama.ErrOutOfBrokers
	}
	if err := broker.Open(client.Config()); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
		return "", err
	}
	answer, err := broker.GetMetadata(sarama.NewMetadataRequest(client.Config().Version, []string{"__consumer_offsets"}))
	if err != nil {
		return "", fmt.Errorf("ask for the cluster's id: %w", err)
	}
	if answer.ClusterID == nil || *answer.ClusterID == "" {
		return "", errors.New("the cluster tells no cluster id")
	}
	return *answer.ClusterID, nil
}

// checkLoop looks for a mirror that reads one of the topics from the target
// and writes it to the source. Its members are found on the target by their client id.
func checkLoop(admin sarama.ClusterAdmin, sourceID string, topics []string) error {
	groups, err := admin.ListConsumerGroups()
	if err != nil {
		return fmt.Errorf("list the target's groups: %w", err)
	}
	names := make([]string, 0, len(groups))
	for name := range groups {
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	described, err := admin.DescribeConsumerGroups(names)
	if err != nil {
		return fmt.Errorf("describe the target's groups: %w", err)
	}
	for _, g := range described {
		for _, member := range g.Members {
			if member.ClientId != memberID(sourceID) {
				continue
			}
			meta, err := member.GetMemberMetadata()
			if err != nil || meta == nil {
				continue // it has not joined yet, and will find us
			}
			for _, topic := range meta.Topics {
				if slices.Contains(topics, topic) {
					return fmt.Errorf("%w: topic %s, group %s on the target", ErrLoop, topic, g.GroupId)
				}
			}
		}
	}
	return nil
}
