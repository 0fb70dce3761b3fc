"""confluent-kafka-python (librdkafka) against the broker whose address is the argument."""
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)

bootstrap = sys.argv[1]


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")


def until(what, get, want):
    """Apache Kafka answers before what was changed can be seen."""
    limit = time.monotonic() + 30
    while get() != want and time.monotonic() < limit:
        time.sleep(0.05)
    check(what, get(), want)


def done(futures):
    """Waits for the futures of an admin call, and returns the last result."""
    result = None
    for future in futures.values():
        result = future.result(timeout=15)
    return result


admin = AdminClient({"bootstrap.servers": bootstrap})
done(admin.create_topics([NewTopic("cf", num_partitions=2, replication_factor=1)]))
try:
    done(admin.create_topics([NewTopic("cf", num_partitions=2, replication_factor=1)]))
    raise SystemExit("a topic was made twice")
except KafkaException as e:
    check("create again", e.args[0].name(), "TOPIC_ALREADY_EXISTS")
done(admin.create_partitions([NewPartitions("cf", 4)]))
until("partitions", lambda: len(admin.list_topics("cf", timeout=10).topics["cf"].partitions), 4)

sent = []
delivered = []
for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    for idempotent in (False, True):
        producer = Producer({
            "bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": idempotent, "acks": "all", "linger.ms": 5})
        for i in range(200):
            value = f"{codec}-{idempotent}-{i}"
            sent.append(value)
            producer.produce("cf", value, key="k", partition=0, headers={"h": "v"},
                             on_delivery=lambda err, msg: delivered.append((err, msg.offset())))
        check("in flight", producer.flush(60), 0)
check("delivered", delivered, [(None, i) for i in range(len(sent))])

settings = {
    "bootstrap.servers": bootstrap, "group.id": "cf-group", "auto.offset.reset": "earliest",
    "enable.auto.commit": False, "session.timeout.ms": 30000, "heartbeat.interval.ms": 500}


def read(consumer, count, seconds=90):
    got, deadline = [], time.monotonic() + seconds
    while len(got) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None:
            if message.error():
                raise SystemExit(f"consume: {message.error()}")
            got.append(message)
    return got


for strategy in ("range", "roundrobin", "cooperative-sticky"):
    group = dict(settings, **{"group.id": f"cf-{strategy}", "partition.assignment.strategy": strategy})
    one = Consumer(group)
    one.subscribe(["cf"])
    messages = read(one, len(sent))
    check("records", [m.value().decode() for m in messages], sent)
    check("headers", messages[0].headers(), [("h", b"v")])
    one.commit(offsets=[TopicPartition("cf", 0, 1500)], asynchronous=False)
    two = Consumer(group)
    two.subscribe(["cf"])
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and (len(one.assignment()), len(two.assignment())) != (2, 2):
        one.poll(0.1)
        two.poll(0.1)
    check("shared", (len(one.assignment()), len(two.assignment())), (2, 2))
    described = done(admin.describe_consumer_groups([group["group.id"]]))
    check("members", (len(described.members), described.state.name, described.partition_assignor), (2, "STABLE", strategy))
    one.close()
    two.close()
    again = Consumer(group)
    again.subscribe(["cf"])
    check("goes on at the commit", [m.offset() for m in read(again, len(sent) - 1500)], list(range(1500, len(sent))))
    again.close()

low, high = Consumer(settings).get_watermark_offsets(TopicPartition("cf", 0), timeout=10)
check("watermarks", (low, high), (0, len(sent)))
by_time = done(admin.list_offsets({TopicPartition("cf", 0): OffsetSpec.max_timestamp()}))
check("offset of the largest timestamp", by_time.offset >= 0, True)

groups = admin.list_consumer_groups().result(timeout=10)
check("groups", {g.group_id for g in groups.valid} >= {"cf-range", "cf-roundrobin", "cf-cooperative-sticky"}, True)
committed = done(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("cf-range")]))
check("committed", [p.offset for p in committed.topic_partitions if p.partition == 0], [1500])
done(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions("cf-range", [TopicPartition("cf", 0, 3)])]))
committed = done(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("cf-range")]))
check("altered", [p.offset for p in committed.topic_partitions if p.partition == 0], [3])
done(admin.delete_consumer_groups(["cf-range"]))

resource = ConfigResource(ResourceType.TOPIC, "cf", incremental_configs=[
    ConfigEntry("retention.ms", "12345", incremental_operation=AlterConfigOpType.SET)])
done(admin.incremental_alter_configs([resource]))
check("config", done(admin.describe_configs([ConfigResource(ResourceType.TOPIC, "cf")]))["retention.ms"].value, "12345")
done(admin.delete_records([TopicPartition("cf", 0, 10)]))
check("low watermark", Consumer(settings).get_watermark_offsets(TopicPartition("cf", 0), timeout=10)[0], 10)
check("cluster", len(admin.describe_cluster().result(timeout=10).nodes), 1)
done(admin.delete_topics(["cf"]))
print("all is well")
