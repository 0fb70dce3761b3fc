"""aiokafka, a client in Python for asyncio, against the broker whose address is the argument.

Produces with all codecs, consumes as one and as two members of a group that shrinks, copies in
transactions (every third aborted), and does what an administrator does.
"""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

bootstrap = sys.argv[1]
LIMIT = 120  # seconds that a step may take on a busy machine; it only ends a hanging test
RECORDS = 600


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")


async def until(what, ok):
    """Waits until ok() is true."""
    async def look():
        while not await ok():
            await asyncio.sleep(0.05)
    try:
        await asyncio.wait_for(look(), LIMIT)
    except asyncio.TimeoutError:
        raise SystemExit(f"not within {LIMIT} s: {what}")


async def admin():
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    topics = [NewTopic(name, 2, 1) for name in ("aio", "source", "target")]
    await client.create_topics(topics)
    again = await client.create_topics(topics[:1])
    check("the error of a topic that is there", for_code(again.topic_errors[0][1]), TopicAlreadyExistsError)

    async def shown():
        described = await client.describe_topics(["aio", "source", "target"])
        return all(t["error_code"] == 0 and len(t["partitions"]) == 2 for t in described)
    await until("the topics are shown", shown)
    await client.create_partitions({"aio": NewPartitions(3)})

    async def grown():
        return len((await client.describe_topics(["aio"]))[0]["partitions"]) == 3
    await until("the topic has three partitions", grown)
    return client


async def codecs():
    sent = []
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        for idempotent in (False, True):
            producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type=codec, enable_idempotence=idempotent)
            async with producer:
                for i in range(50):
                    sent.append(f"{codec}-{idempotent}-{i}")
                    await producer.send("aio", sent[-1].encode(), key=b"k", partition=0, headers=[("h", b"v")], timestamp_ms=1_700_000_000_000 + len(sent))
                last = await producer.send_and_wait("aio", b"last", partition=1)
            check("partition of the last record", last.partition, 1)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with consumer:
        partition = TopicPartition("aio", 0)
        consumer.assign([partition])
        got = [await asyncio.wait_for(consumer.getone(), LIMIT) for _ in sent]
        check("values", [r.value.decode() for r in got], sent)
        check("offsets", [r.offset for r in got], list(range(len(sent))))
        check("key, headers and time", (got[0].key, got[0].headers, got[0].timestamp), (b"k", (("h", b"v"),), 1_700_000_000_001))
        check("beginning and end", (await consumer.beginning_offsets([partition]), await consumer.end_offsets([partition])),
              ({partition: 0}, {partition: len(sent)}))
        found = await consumer.offsets_for_times({partition: 1_700_000_000_010})
        check("offset by time", found[partition].offset, 9)


async def member(seen, name, ready):
    """Reads topic source as a member of group aio-group, committing what it has counted, until it is cancelled."""
    consumer = AIOKafkaConsumer("source", bootstrap_servers=bootstrap, group_id="aio-group", auto_offset_reset="earliest",
                                enable_auto_commit=False, heartbeat_interval_ms=300, session_timeout_ms=30_000)
    await consumer.start()
    try:
        while True:
            batch = await consumer.getmany(timeout_ms=200)
            for records in batch.values():
                seen.extend(r.value for r in records)
            if batch:
                await consumer.commit()
            if consumer.assignment():
                ready[name] = len(consumer.assignment())
    finally:
        await consumer.stop()  # leaves the group


async def send(topic, count, first=0):
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        await asyncio.gather(*[await producer.send(topic, str(i).encode(), partition=i % 2) for i in range(first, first + count)])


async def end(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    raise SystemExit("a member ended by itself")


async def groups(client):
    seen, ready = [], {}
    members = {name: asyncio.create_task(member(seen, name, ready)) for name in ("a", "b")}

    async def shared():
        for task in members.values():
            if task.done():
                task.result()
        return ready == {"a": 1, "b": 1}
    await until("both members have a partition", shared)
    await send("source", RECORDS // 2)

    async def half():
        return len(set(seen)) == RECORDS // 2
    await until("half of the records are read", half)
    await end(members.pop("a"))
    ready.clear()

    async def alone():
        return ready.get("b") == 2
    await until("the other member takes over", alone)
    await send("source", RECORDS // 2, RECORDS // 2)

    async def all_seen():
        return len(set(seen)) == RECORDS
    await until("all records are read", all_seen)
    check("records read more than once", len(seen), RECORDS)
    check("groups", [g for g in await client.list_consumer_groups() if g[0] == "aio-group"], [("aio-group", "consumer")])
    await end(members.pop("b"))
    committed = await client.list_consumer_group_offsets("aio-group")
    check("committed", sorted(o.offset for o in committed.values()), [RECORDS // 2] * 2)


async def transactions():
    """Copies source to target ten records a transaction; every third is aborted and done again."""
    consumer = AIOKafkaConsumer("source", bootstrap_servers=bootstrap, group_id="aio-copy", auto_offset_reset="earliest",
                                enable_auto_commit=False, isolation_level="read_committed", max_poll_records=10)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="aio-copier")
    async with consumer, producer:
        copied, tries = 0, 0
        while copied < RECORDS:
            batch = await asyncio.wait_for(consumer.getmany(timeout_ms=500, max_records=10), LIMIT)
            if not batch:
                continue
            tries += 1
            await producer.begin_transaction()
            for partition, records in batch.items():
                for r in records:
                    await producer.send("target", r.value, partition=partition.partition)
            if tries % 3 == 0:
                await producer.abort_transaction()
                for partition, records in batch.items():
                    consumer.seek(partition, records[0].offset)
                continue
            await producer.send_offsets_to_transaction({p: records[-1].offset + 1 for p, records in batch.items()}, "aio-copy")
            await producer.commit_transaction()
            copied += sum(len(records) for records in batch.values())
        check("aborted", tries // 3 > 0, True)
    reader = AIOKafkaConsumer("target", bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed")
    async with reader:
        got = [await asyncio.wait_for(reader.getone(), LIMIT) for _ in range(RECORDS)]
    check("copied once, each", sorted(int(r.value) for r in got), list(range(RECORDS)))
    for p in (0, 1):
        check("in order", [int(r.value) for r in got if r.partition == p], list(range(p, RECORDS, 2)))


async def main():
    client = await admin()
    try:
        await codecs()
        await groups(client)
        await transactions()
        await client.delete_topics(["aio", "source", "target"])

        async def gone():
            return not {"aio", "source", "target"} & set(await client.list_topics())
        await until("the topics are gone", gone)
    finally:
        await client.close()
    print("all is well")


asyncio.run(main())
