"""kafka-python against the broker whose address is the argument."""
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata

bootstrap = sys.argv[1]


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")


admin = KafkaAdminClient(bootstrap_servers=bootstrap)
admin.create_topics([NewTopic(name="py", num_partitions=2, replication_factor=1)])
check("topics", "py" in admin.list_topics(), True)

sent = []
for codec in (None, "gzip"):
    for idempotent in (False, True):
        producer = KafkaProducer(
            bootstrap_servers=bootstrap, acks="all", compression_type=codec, enable_idempotence=idempotent)
        for i in range(100):
            value = f"{codec}-{idempotent}-{i}"
            sent.append(value)
            future = producer.send("py", value.encode(), key=b"k", headers=[("h", b"v")], partition=0)
        producer.flush()
        check("offset of the last record", future.get(timeout=10).offset, len(sent) - 1)
        producer.close()


def read(consumer, count, seconds=90):
    got, deadline = [], time.monotonic() + seconds
    while len(got) < count and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=200).values():
            got.extend(records)
    return got


consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
consumer.assign([TopicPartition("py", 0)])
records = read(consumer, len(sent))
check("records", [r.value.decode() for r in records], sent)
check("header and key", (records[0].headers, records[0].key), ([("h", b"v")], b"k"))
p0 = TopicPartition("py", 0)
check("beginning", consumer.beginning_offsets([p0]), {p0: 0})
check("end", consumer.end_offsets([p0]), {p0: len(sent)})
check("by time", consumer.offsets_for_times({p0: 0})[p0].offset, 0)
consumer.close()


def member():
    return KafkaConsumer(
        "py", bootstrap_servers=bootstrap, group_id="py-group", auto_offset_reset="earliest",
        enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500)


one = member()
first = read(one, len(sent))
check("group", len(first), len(sent))
one.commit({p0: OffsetAndMetadata(150, "note", -1)})
check("committed", one.committed(p0), 150)

# A second member: each gets a partition. Each is polled by a thread of its own, as two processes would:
# polled in turns, one leaves the join that the other waits for, and both join for ever.
two = member()
shared = threading.Event()


def poll_until_shared(consumer):
    while not shared.is_set():
        consumer.poll(timeout_ms=100)


pollers = [threading.Thread(target=poll_until_shared, args=(c,)) for c in (one, two)]
for p in pollers:
    p.start()
deadline = time.monotonic() + 60
while time.monotonic() < deadline and (len(one.assignment()), len(two.assignment())) != (1, 1):
    shared.wait(0.05)
shared.set()
for p in pollers:
    p.join()
check("shared", (len(one.assignment()), len(two.assignment())), (1, 1))
one.close()
two.close()

# A poll that ends while a join is on its way leaves it, and now and then this client then neither joins nor
# sends heartbeats any more: its session ends and it reads nothing at all. Another one takes its place.
rest = []
for attempt in range(3):
    again = member()
    rest = read(again, len(sent) - 150, 45)
    again.close()
    if rest:
        break
check("goes on at the commit", [r.offset for r in rest], list(range(150, len(sent))))

check("groups", "py-group" in str(admin.list_groups()), True)
check("described", "Empty" in str(admin.describe_groups(["py-group"])), True)
admin.delete_groups(["py-group"])
check("groups after deletion", "py-group" in str(admin.list_groups()), False)
admin.delete_topics(["py"])
check("topics after deletion", "py" in admin.list_topics(), False)
admin.close()
print("all is well")
