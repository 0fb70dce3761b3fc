package broker

import (
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/configs"
)

// groupConfigs are the configs of a consumer group (KIP-848), in the order of
// their names; the broker's configs give their defaults and bounds.
func groupConfigs() []configDef {
	return []configDef{
		integer("consumer.heartbeat.interval.ms", "5000", 1, 1<<31-1).from("group.consumer.heartbeat.interval.ms").
			says("The time between two heartbeats of a member."),
		integer("consumer.session.timeout.ms", "45000", 1, 1<<31-1).from("group.consumer.session.timeout.ms").
			says("The time without a heartbeat after which a member is removed."),
	}
}

// consumerGroupDefaults are the broker configs that these come from.
func consumerGroupDefaults() []configDef {
	millis := func(name, def string, f func(configs.Broker) configs.Duration) configDef {
		return integer(name, def, 1, 1<<31-1).set(millisOf(f))
	}
	return []configDef{
		list("group.consumer.assignors", "uniform,range").says("The assignors of the consumer protocol, the default first."),
		millis("group.consumer.heartbeat.interval.ms", "5000", func(c configs.Broker) configs.Duration { return c.GroupConsumerHeartbeatInterval }).says("broker.group_consumer_heartbeat_interval"),
		millis("group.consumer.max.heartbeat.interval.ms", "15000", func(c configs.Broker) configs.Duration { return c.GroupConsumerHeartbeatIntervalMax }).says("broker.group_consumer_heartbeat_interval_max"),
		millis("group.consumer.max.session.timeout.ms", "60000", func(c configs.Broker) configs.Duration { return c.GroupConsumerSessionTimeoutMax }).says("broker.group_consumer_session_timeout_max"),
		integer("group.consumer.max.size", "2147483647", 1, 1<<31-1).set(numberOf(func(c configs.Broker) int { return c.GroupMembersMax })).says("broker.group_members_max"),
		text("group.consumer.migration.policy", "bidirectional", "disabled", "upgrade", "downgrade", "bidirectional").set(func(c configs.Broker) string { return c.GroupMigrationPolicy }).says("broker.group_migration_policy"),
		millis("group.consumer.min.heartbeat.interval.ms", "5000", func(c configs.Broker) configs.Duration { return c.GroupConsumerHeartbeatIntervalMin }).says("broker.group_consumer_heartbeat_interval_min"),
		millis("group.consumer.min.session.timeout.ms", "45000", func(c configs.Broker) configs.Duration { return c.GroupConsumerSessionTimeoutMin }).says("broker.group_consumer_session_timeout_min"),
		millis("group.consumer.session.timeout.ms", "45000", func(c configs.Broker) configs.Duration { return c.GroupConsumerSessionTimeout }).says("broker.group_consumer_session_timeout"),
	}
}

// checkGroupName says what is wrong with the name of a resource of kind GROUP.
func checkGroupName(name string) error {
	if name == "" {
		return refuse(kerr.InvalidRequest, "Default group resources are not allowed.")
	}
	return nil
}

// checkGroupConfig says why a config cannot be set for a group.
func (n *Node) checkGroupConfig(name, value string) error {
	d := findConfig(n.configs.group, name)
	if d == nil {
		return refuse(kerr.InvalidConfig, "Unknown group config name: "+name)
	}
	if err := d.checkForm(value); err != nil {
		return refuse(kerr.InvalidConfig, err.Error())
	}
	least, most := n.cfg.GroupConsumerSessionTimeoutMin, n.cfg.GroupConsumerSessionTimeoutMax
	bound := "session.timeout.ms"
	if d.name == "consumer.heartbeat.interval.ms" {
		least, most, bound = n.cfg.GroupConsumerHeartbeatIntervalMin, n.cfg.GroupConsumerHeartbeatIntervalMax, "heartbeat.interval.ms"
	}
	ms, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return refuse(kerr.InvalidConfig, fmt.Sprintf("Invalid value %s for configuration %s: Not a number of type INT", value, name))
	case ms < least.D().Milliseconds():
		return refuse(kerr.InvalidConfig, fmt.Sprintf("%s must be greater than or equal to group.consumer.min.%s", name, bound))
	case ms > most.D().Milliseconds():
		return refuse(kerr.InvalidConfig, fmt.Sprintf("%s must be less than or equal to group.consumer.max.%s", name, bound))
	}
	return nil
}

// describeGroup describes the configs of a group, whether it exists or not.
func (n *Node) describeGroup(image *metadata.Image, name string, wanted func(string) bool) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	out := []kmsg.DescribeConfigsResponseResourceConfig{}
	if name == "" {
		return out, refuse(kerr.InvalidRequest, "Group name must not be empty")
	}
	set := image.Configs(metadata.ResourceGroup, name)
	for i := range n.configs.group {
		d := &n.configs.group[i]
		if !wanted(d.name) {
			continue
		}
		def := synonym(d.name, d.def, kmsg.ConfigSourceDefaultConfig)
		if b := findConfig(n.configs.broker, d.broker); b != nil {
			def.Value = new(n.brokerValue(image, b))
		}
		values := []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{def}
		if v, ok := set[d.name]; ok {
			values = append([]kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{synonym(d.name, v, kmsg.ConfigSourceGroupConfig)}, values...)
		}
		c := describeConfig(d, values, false)
		c.Value = values[0].Value
		out = append(out, c)
	}
	return out, nil
}
