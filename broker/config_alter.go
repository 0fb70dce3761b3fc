package broker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/metadata"
)

// configChange turns the configs that are set for a resource into others. current
// may be nil and must not be changed.
type configChange func(image *metadata.Image, current map[string]string) (map[string]string, error)

// alterResource changes the configs of a topic or broker, durably, and lets the
// logs know. With validateOnly it only says whether it could.
func (n *Node) alterResource(kind kmsg.ConfigResourceType, name string, change configChange, validateOnly bool) error {
	stored, check, err := n.resourceKind(kind, name)
	if err != nil {
		return err
	}
	n.topicMu.Lock()
	defer n.topicMu.Unlock()
	changes := 0
	decide := func(image *metadata.Image) ([]metadata.Record, error) {
		if stored == metadata.ResourceTopic && image.Topic(name) == nil {
			return nil, refuse(kerr.UnknownTopicOrPartition, fmt.Sprintf("The topic '%s' does not exist.", name))
		}
		current := image.Configs(stored, name)
		next, err := change(image, current)
		if err != nil {
			return nil, err
		}
		records, err := configRecords(stored, name, current, next, check)
		changes = len(records)
		return records, err
	}
	if validateOnly {
		_, err := decide(n.meta.Image())
		return err
	}
	image, err := n.meta.Update(decide)
	if err != nil {
		return err
	}
	if changes > 0 { // MirrorMaker sets what is set already, every few minutes for each topic
		n.log.Info("configs changed", "resource", stored, "name", name)
	}
	if stored == metadata.ResourceBroker {
		n.store.SetCleaner(n.cleanerConfig(image))
	}
	return n.reconfigure(image, func(t *metadata.Topic) bool { return stored != metadata.ResourceTopic || t.Name == name })
}

// resourceKind returns how a resource is stored and how its values are checked.
func (n *Node) resourceKind(kind kmsg.ConfigResourceType, name string) (string, func(key, value string) error, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if name == "" {
			return "", nil, refuse(kerr.InvalidRequest, "Default topic resources are not allowed.")
		}
		check := func(key, value string) error { return n.checkTopicConfigs(map[string]string{key: value}) }
		return metadata.ResourceTopic, check, checkTopicName(name)
	case kmsg.ConfigResourceTypeBroker:
		if name != "" && name != n.brokerResource() {
			if _, err := strconv.ParseInt(name, 10, 32); err != nil {
				return "", nil, refuse(kerr.InvalidRequest, "Node id must be an integer, but it is: "+name)
			}
			return "", nil, refuse(kerr.InvalidRequest, fmt.Sprintf("Unexpected broker id, expected %s, but received %s", n.brokerResource(), name))
		}
		check := func(key, value string) error { return n.checkBrokerConfig(name, key, value) }
		return metadata.ResourceBroker, check, nil
	case kmsg.ConfigResourceTypeGroupConfig:
		return metadata.ResourceGroup, n.checkGroupConfig, checkGroupName(name)
	}
	return "", nil, refuse(kerr.InvalidRequest, fmt.Sprintf("Unknown resource type %d", kind))
}

// configRecords are the differences between two sets of configs; what is set is checked.
func configRecords(kind, name string, current, next map[string]string, check func(key, value string) error) ([]metadata.Record, error) {
	var records []metadata.Record
	for _, key := range slices.Sorted(maps.Keys(next)) {
		value := next[key]
		if old, ok := current[key]; ok && old == value {
			continue
		}
		if err := check(key, value); err != nil {
			return nil, err
		}
		records = append(records, &metadata.ConfigRecord{Kind: kind, Name: name, Key: key, Value: &value})
	}
	for _, key := range slices.Sorted(maps.Keys(current)) {
		if _, ok := next[key]; !ok {
			records = append(records, &metadata.ConfigRecord{Kind: kind, Name: name, Key: key})
		}
	}
	return records, nil
}

// listChange appends words to a list config, or takes them away.
func listChange(value, words string, add bool) string {
	list := splitList(value)
	for _, w := range splitList(words) {
		list = slices.DeleteFunc(list, func(s string) bool { return s == w })
		if add {
			list = append(list, w)
		}
	}
	return strings.Join(list, ",")
}
