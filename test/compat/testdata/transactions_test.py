"""Transactions of confluent-kafka (librdkafka): transactions_test.py BOOTSTRAP.

Consume, transform, produce with offsets in the transaction; every third one is
aborted and done again. A producer of the same id that comes later fences the
first.
"""
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap})
for future in admin.create_topics([NewTopic("in", 2), NewTopic("out", 2)]).values():
    future.result(20)

plain = Producer({"bootstrap.servers": bootstrap})
for i in range(90):
    plain.produce("in", value=str(i), partition=i % 2)
assert plain.flush(20) == 0

consumer = Consumer({
    "bootstrap.servers": bootstrap, "group.id": "copiers", "auto.offset.reset": "earliest",
    "enable.auto.commit": False, "isolation.level": "read_committed",
})
consumer.subscribe(["in"])
producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "copier"})
producer.init_transactions(20)

copied, rounds = 0, 0
while copied < 90:
    batch = consumer.consume(10, 20)
    assert batch, "nothing came"
    producer.begin_transaction()
    for m in batch:
        assert m.error() is None, m.error()
        producer.produce("out", value=m.value(), partition=m.partition())
    positions = consumer.position(consumer.assignment())
    producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), 20)
    rounds += 1
    if rounds % 3 == 0:
        producer.abort_transaction(20)
        for p in consumer.committed(consumer.assignment(), 20):
            consumer.seek(TopicPartition(p.topic, p.partition, max(p.offset, 0)))
        continue
    producer.commit_transaction(20)
    copied += len(batch)
committed = sum(p.offset for p in consumer.committed([TopicPartition("in", 0), TopicPartition("in", 1)], 20))
assert committed == 90, committed
consumer.close()

reader = Consumer({
    "bootstrap.servers": bootstrap, "group.id": "readers", "auto.offset.reset": "earliest", "isolation.level": "read_committed",
})
reader.subscribe(["out"])
seen = []
while len(seen) < 90:
    batch = reader.consume(90 - len(seen), 20)
    assert batch, seen
    seen += [int(m.value()) for m in batch]
assert not reader.consume(1, 1), "more than was committed"
reader.close()
assert sorted(seen) == list(range(90)), seen

second = Producer({"bootstrap.servers": bootstrap, "transactional.id": "copier"})
second.init_transactions(20)
try:
    producer.begin_transaction()
    producer.produce("out", value="zombie", partition=0)
    producer.commit_transaction(20)
    raise AssertionError("the first producer was not fenced")
except KafkaException as e:
    assert e.args[0].fatal() or e.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED), e
second.begin_transaction()
second.produce("out", value="end", partition=0)
second.commit_transaction(20)
print("all is well")
