package broker

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/quota"
	"github.com/millrace/millrace/configs"
)

const doubleType = kmsg.ConfigTypeDouble

// brokerConfigs are the broker configs of Apache Kafka that have a meaning here,
// under Kafka's names, in the order of their names. Those that are not dynamic
// come from the configuration file and are read-only.
func brokerConfigs() []configDef {
	defs := slices.Concat(nodeConfigs(), topicDefaults(), groupDefaults(), consumerGroupDefaults(), cleanerConfigs(), unusedConfigs())
	slices.SortFunc(defs, func(a, b configDef) int { return strings.Compare(a.name, b.name) })
	return defs
}

func bytesOf(f func(configs.Broker) configs.Size) func(configs.Broker) string {
	return func(c configs.Broker) string { return strconv.FormatInt(f(c).Bytes(), 10) }
}

func millisOf(f func(configs.Broker) configs.Duration) func(configs.Broker) string {
	return func(c configs.Broker) string { return strconv.FormatInt(f(c).D().Milliseconds(), 10) }
}

func numberOf[N int | int32 | int64](f func(configs.Broker) N) func(configs.Broker) string {
	return func(c configs.Broker) string { return strconv.FormatInt(int64(f(c)), 10) }
}

func nodeConfigs() []configDef {
	const top = math.MaxInt64
	nodeID := numberOf(func(c configs.Broker) int32 { return c.NodeID })
	return []configDef{
		list("advertised.listeners", "").set(advertisedListeners).says("broker.listeners[].advertised, or broker.advertised"),
		boolean("auto.create.topics.enable", "true").set(func(c configs.Broker) string { return strconv.FormatBool(c.AutoCreateTopics) }).says("broker.auto_create_topics"),
		integer("broker.id", "-1", -1, top).set(nodeID).says("broker.node_id"),
		long("connections.max.idle.ms", "600000", 0, top).set(millisOf(func(c configs.Broker) configs.Duration { return c.IdleTimeout })).says("broker.idle_timeout"),
		integer("default.replication.factor", "1", 1, 1).says("A partition has one replica."),
		boolean("delete.topic.enable", "true").says("Topics can be deleted."),
		integer("fetch.max.bytes", strconv.Itoa(fetchBytesMax), 1024, top).says("The most that one fetch returns."),
		text("inter.broker.listener.name", "").set(func(c configs.Broker) string { return c.InterBrokerListener }).says("broker.inter_broker_listener"),
		list("listener.security.protocol.map", "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT").set(listenerProtocols).says("broker.listeners"),
		boolean("allow.everyone.if.no.acl.found", "false").set(func(c configs.Broker) string { return strconv.FormatBool(c.Authorizer.AllowEveryoneIfNoACL) }).says("broker.authorizer.allow_everyone_if_no_acl"),
		text("authorizer.class.name", "").set(authorizerClass).says("broker.authorizer.enabled"),
		integer("max.connections.per.ip", "2147483647", 0, top).set(connectionsPerIP).says("broker.connections_max_per_ip"),
		text("max.connections.per.ip.overrides", "").set(func(c configs.Broker) string { return strings.Join(c.ConnectionsMaxPerIPOverrides, ",") }).says("broker.connections_max_per_ip_overrides"),
		integer("quota.window.num", strconv.Itoa(quota.Windows), 1, top).says("Windows over which the use of a client is averaged."),
		integer("quota.window.size.seconds", strconv.Itoa(int(quota.Window/time.Second)), 1, top).says("The length of such a window."),
		text("super.users", "").set(func(c configs.Broker) string { return strings.Join(c.Authorizer.SuperUsers, ";") }).says("broker.authorizer.super_users"),
		list("listeners", "PLAINTEXT://:9092").set(listenerAddresses).says("broker.listeners, or broker.listen"),
		long("log.retention.check.interval.ms", "300000", 1, top).set(millisOf(func(c configs.Broker) configs.Duration { return c.RetentionCheckInterval })).says("broker.retention_check_interval"),
		integer("max.connections", "2147483647", 0, top).set(numberOf(func(c configs.Broker) int { return c.ConnectionsMax })).says("broker.connections_max"),
		integer("node.id", "-1", -1, top).set(nodeID).says("broker.node_id"),
		integer("num.partitions", "1", 1, top).set(numberOf(func(c configs.Broker) int32 { return c.DefaultPartitions })).says("broker.default_partitions"),
		list("process.roles", "broker,controller").says("This node is both."),
		integer("producer.id.expiration.ms", "86400000", 1, top).set(millisOf(func(c configs.Broker) configs.Duration { return c.ProducerIDExpiration })).says("broker.producer_id_expiration").whileRunning(),
		long("queued.max.request.bytes", "-1", -1, top).set(bytesOf(func(c configs.Broker) configs.Size { return c.RequestMemory })).says("broker.request_memory"),
		boolean("transaction.partition.verification.enable", "true").does(effectFixed).says("Partitions are always verified (KIP-890).").whileRunning(),
		integer("socket.request.max.bytes", "104857600", 1, top).set(bytesOf(func(c configs.Broker) configs.Size { return c.RequestMax })).says("broker.request_max"),
	}
}

// authorizerClass is the authorizer of Apache Kafka whose rules ours follows.
func authorizerClass(c configs.Broker) string {
	if !c.Authorizer.Enabled {
		return ""
	}
	return "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
}

// connectionsPerIP is what Kafka shows where there is no limit.
func connectionsPerIP(c configs.Broker) string {
	if c.ConnectionsMaxPerIP == 0 {
		return strconv.Itoa(math.MaxInt32)
	}
	return strconv.Itoa(c.ConnectionsMaxPerIP)
}

// topicDefaults give the topic configs of the same meaning their defaults.
func topicDefaults() []configDef {
	var defs []configDef
	for _, d := range topicConfigs() {
		if d.broker == "" {
			continue
		}
		d.name, d.broker = d.broker, ""
		d.dynamic = true
		switch d.name {
		case "log.retention.ms":
			d.hours = "log.retention.hours"
			d.static = millisOf(func(c configs.Broker) configs.Duration { return c.RetentionTime })
		case "log.retention.bytes":
			d.static = numberOf(func(c configs.Broker) int64 { return c.RetentionSize })
		case "log.segment.bytes":
			d.static = bytesOf(func(c configs.Broker) configs.Size { return c.SegmentSize })
		case "log.roll.ms":
			d.hours = "log.roll.hours"
			d.static = millisOf(func(c configs.Broker) configs.Duration { return c.SegmentTime })
		case "message.max.bytes":
			d.static = bytesOf(func(c configs.Broker) configs.Size { return c.MessageMax })
		}
		defs = append(defs, d)
	}
	return defs
}

func groupDefaults() []configDef {
	return []configDef{
		integer("group.initial.rebalance.delay.ms", "3000", 0, math.MaxInt32).set(millisOf(func(c configs.Broker) configs.Duration { return c.GroupInitialRebalanceDelay })).says("broker.group_initial_rebalance_delay"),
		integer("offsets.topic.num.partitions", "50", 1, math.MaxInt32).set(numberOf(func(c configs.Broker) int32 { return c.OffsetsPartitions })).says("broker.offsets_partitions"),
		integer("transaction.state.log.num.partitions", "50", 1, math.MaxInt32).set(numberOf(func(c configs.Broker) int32 { return c.TransactionsPartitions })).says("broker.transactions_partitions"),
		integer("transaction.max.timeout.ms", "900000", 1, math.MaxInt32).set(millisOf(func(c configs.Broker) configs.Duration { return c.TransactionTimeoutMax })).says("broker.transaction_timeout_max"),
		integer("transactional.id.expiration.ms", "604800000", 1, math.MaxInt32).set(millisOf(func(c configs.Broker) configs.Duration { return c.TransactionalIDExpiration })).says("broker.transactional_id_expiration"),
		integer("offsets.topic.replication.factor", "3", 1, math.MaxInt32).set(func(configs.Broker) string { return "1" }).says("A partition has one replica."),
	}
}

// brokerResource is the resource name of this broker's dynamic configs.
func (n *Node) brokerResource() string { return strconv.FormatInt(int64(n.cfg.NodeID), 10) }

// brokerValue is the value of a broker config in effect.
func (n *Node) brokerValue(image *metadata.Image, d *configDef) string {
	for _, name := range []string{n.brokerResource(), ""} {
		if v, ok := image.Configs(metadata.ResourceBroker, name)[d.name]; ok {
			return v
		}
	}
	return d.startValue(n.cfg)
}

// checkBrokerConfig says why a config of a broker, or with an empty resource of all
// brokers, cannot be set while the broker runs, in Kafka's words.
func (n *Node) checkBrokerConfig(resource, name, value string) error {
	d := findConfig(n.configs.broker, name)
	switch {
	case d == nil:
		return refuse(kerr.InvalidConfig, "Unknown broker config name: "+name)
	case !d.dynamic:
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Cannot update these configs dynamically: Set(%s). Set it in the configuration file: %s", name, d.doc))
	}
	if err := d.check(value, n.cfg); err != nil {
		return refuse(kerr.InvalidRequest, err.Error())
	}
	if d.perBroker && resource == "" {
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Cannot update these configs at default cluster level, broker id must be specified: Set(%s)", name))
	}
	return nil
}
