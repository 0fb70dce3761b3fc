"""librdkafka with group.protocol=consumer against the broker whose address is the argument."""
import sys
import time

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

bootstrap = sys.argv[1]


def consumer(instance=None, topics=("shared",)):
    settings = {
        "bootstrap.servers": bootstrap, "group.id": "python-group", "group.protocol": "consumer",
        "auto.offset.reset": "earliest", "enable.auto.commit": False}
    if instance:
        settings["group.instance.id"] = instance
    c = Consumer(settings)
    c.subscribe(list(topics))
    return c


def poll_until(members, seconds, wanted):
    """Polls all members until wanted() is true, and returns the values read."""
    seen, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        for c in members:
            message = c.poll(0.05)
            if message is not None:
                if message.error():
                    raise SystemExit(f"consume: {message.error()}")
                seen.append(message.value().decode())
        if wanted(seen):
            return seen
    raise SystemExit(f"nothing more came: {len(seen)} records, {[len(c.assignment()) for c in members]} partitions")


first = consumer()
seen = poll_until([first], 30, lambda seen: len(seen) >= 100)
if sorted(seen, key=int) != [str(i) for i in range(100)]:
    raise SystemExit(f"one member read {len(seen)} records: {seen[:10]}")
first.commit(asynchronous=False)

second = consumer()
poll_until([first, second], 60, lambda seen: len(first.assignment()) == 3 and len(second.assignment()) == 3)
parts = [p.partition for c in (first, second) for p in c.assignment()]
if sorted(parts) != list(range(6)):
    raise SystemExit(f"the members have {parts}")
committed = second.committed([TopicPartition("shared", p) for p in range(6)], timeout=10)
if sum(max(p.offset, 0) for p in committed) != 100:
    raise SystemExit(f"committed: {committed}")

admin = AdminClient({"bootstrap.servers": bootstrap})
groups = admin.list_consumer_groups().result(timeout=10).valid
print("listed", [(g.group_id, g.state.name, g.type.name) for g in groups if g.group_id == "python-group"])
first.close()
poll_until([second], 60, lambda seen: len(second.assignment()) == 6)
second.close()

# A subscription by an expression, which the broker resolves.
by_regex = consumer(topics=["^sha.*d$"])
poll_until([by_regex], 60, lambda seen: len(by_regex.assignment()) == 6)
by_regex.close()

# A static member goes and comes back to the same partitions.
static, other = consumer("one"), consumer("two")
poll_until([static, other], 60, lambda seen: len(static.assignment()) == 3 and len(other.assignment()) == 3)
before = sorted(p.partition for p in static.assignment())
static.close()
static = consumer("one")
poll_until([static, other], 60, lambda seen: len(static.assignment()) == 3)
if sorted(p.partition for p in static.assignment()) != before or len(other.assignment()) != 3:
    raise SystemExit(f"static: had {before}, has {static.assignment()}, the other {other.assignment()}")
static.close()
other.close()
print("all is well")
