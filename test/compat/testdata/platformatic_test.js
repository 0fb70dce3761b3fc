// @platformatic/kafka, a client in TypeScript of its own making: platformatic_test.js BOOTSTRAP.
//
// Produces with all codecs, consumes in a classic group of two and in a group of the new protocol
// (KIP-848), copies in transactions (one of them aborted), and does what an administrator does.
'use strict'
const assert = require('node:assert')
const { setTimeout: pause } = require('node:timers/promises')
const { Admin, Consumer, Producer, stringDeserializers, stringSerializers } = require('@platformatic/kafka')

const TOPICS = ['codecs', 'classic', 'consumer', 'target']
const RECORDS = 600
const LIMIT = 120_000 // ms that a step may take on a busy machine; it only ends a hanging test
const base = { clientId: 'compat', bootstrapBrokers: [process.argv[2]], retries: 10, retryDelay: 300, timeout: 60_000, requestTimeout: 60_000 }
const admin = new Admin(base)

async function until (what, ok) {
  const end = Date.now() + LIMIT
  while (!await ok()) {
    assert.ok(Date.now() < end, `not within ${LIMIT} ms: ${what}`)
    await pause(50)
  }
}

function newProducer (options) {
  return new Producer({ ...base, serializers: stringSerializers, ...options })
}

async function send (topic, first, count, options) {
  const producer = newProducer({ idempotent: true, acks: -1, ...options })
  const messages = []
  for (let i = first; i < first + count; i++) messages.push({ topic, value: String(i), key: 'k', headers: { h: 'v' }, partition: i % 2 })
  await producer.send({ messages })
  await producer.close()
}

// start has a consumer call eachMessage for all records of a topic, and returns how to end it.
async function start (groupId, topic, eachMessage, options) {
  const consumer = new Consumer({ ...base, groupId, deserializers: stringDeserializers, autocommit: true, ...options })
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', maxWaitTime: 200, ...options })
  stream.on('data', eachMessage)
  let failed
  stream.on('error', (err) => { failed = err })
  return {
    consumer,
    async end () {
      await stream.close()
      await consumer.close()
      assert.ifError(failed)
    }
  }
}

async function administrate () {
  await admin.createTopics({ topics: TOPICS, partitions: 2, replicas: 1, configs: [{ name: 'retention.ms', value: '86400000' }] })
  await assert.rejects(admin.createTopics({ topics: ['codecs'], partitions: 2, replicas: 1 }))
  await until('the topics are there', async () => (await admin.listTopics()).filter((t) => TOPICS.includes(t)).length === TOPICS.length)
  await admin.createPartitions({ topics: [{ name: 'codecs', count: 3, assignments: null }] })
  await until('a partition was added', async () => (await admin.metadata({ topics: ['codecs'], forceUpdate: true })).topics.get('codecs').partitionsCount === 3)
  const [described] = await admin.describeConfigs({ resources: [{ resourceType: 2, resourceName: 'codecs', configurationKeys: ['retention.ms'] }] })
  assert.deepEqual(described.configs.map((c) => [c.name, c.value]), [['retention.ms', '86400000']])
  await admin.incrementalAlterConfigs({ resources: [{ resourceType: 2, resourceName: 'codecs', configs: [{ name: 'retention.ms', configOperation: 0, value: '3600000' }] }] })
  await until('the config is altered', async () => {
    const [now] = await admin.describeConfigs({ resources: [{ resourceType: 2, resourceName: 'codecs', configurationKeys: ['retention.ms'] }] })
    return now.configs[0].value === '3600000'
  })
}

async function codecs () {
  const algorithms = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
  for (const [i, compression] of algorithms.entries()) await send('codecs', i * 100, 100, { compression })
  const seen = new Set()
  const reader = await start('codecs', 'codecs', (m) => {
    assert.deepEqual([m.key, [...m.headers]], ['k', [['h', 'v']]])
    seen.add(Number(m.value))
  })
  await until('all records of all codecs are read', () => seen.size === algorithms.length * 100)
  await reader.end()
  const offsets = await admin.listOffsets({ topics: [{ name: 'codecs', partitions: [0, 1].map((partitionIndex) => ({ partitionIndex, timestamp: -1n })) }] })
  assert.deepEqual(offsets[0].partitions.map((p) => p.offset), [250n, 250n])
  await admin.deleteRecords({ topics: [{ name: 'codecs', partitions: [{ partition: 0, offset: 100n }] }] })
  const earliest = await admin.listOffsets({ topics: [{ name: 'codecs', partitions: [{ partitionIndex: 0, timestamp: -2n }] }] })
  assert.equal(earliest[0].partitions[0].offset, 100n)
}

// group has two members of a group read a topic; one leaves half-way.
async function group (name, options) {
  const times = new Map()
  const count = (m) => times.set(m.value, (times.get(m.value) ?? 0) + 1)
  const owned = (member) => (member.consumer.assignments ?? []).reduce((sum, a) => sum + a.partitions.length, 0)
  await send(name, 0, RECORDS / 2)
  const one = await start(name, name, count, options)
  const two = await start(name, name, count, options)
  await until('both members have a partition', () => owned(one) === 1 && owned(two) === 1)
  await until('the records so far are read', () => times.size === RECORDS / 2)
  await one.end()
  await until('the other has both', () => owned(two) === 2)
  await send(name, RECORDS / 2, RECORDS / 2)
  await until('all records are read', () => times.size === RECORDS)
  await two.end()
  const [listed] = await admin.listConsumerGroupOffsets({ groups: [name] })
  assert.deepEqual(listed.topics[0].partitions.map((p) => p.committedOffset).sort(), [BigInt(RECORDS / 2), BigInt(RECORDS / 2)])
  await admin.deleteGroups({ groups: [name] })
}

async function transactions () {
  const producer = newProducer({ transactionalId: 'copier', idempotent: true, acks: -1 })
  const values = Array.from({ length: RECORDS }, (_, i) => String(i))
  for (let tries = 1, at = 0; at < RECORDS; tries++) {
    const transaction = await producer.beginTransaction()
    await transaction.send({ messages: values.slice(at, at + 50).map((value, i) => ({ topic: 'target', key: 'k', value, partition: (at + i) % 2 })) })
    if (tries === 3) { // of several in one response, the client leaves out only the last
      await transaction.abort()
      continue
    }
    await transaction.commit()
    at += 50
  }
  await producer.close()
  const seen = []
  const reader = await start('reader', 'target', (m) => seen.push([m.partition, Number(m.value)]), { isolationLevel: 1 })
  await until('what was committed is read', () => seen.length >= RECORDS)
  await reader.end()
  for (const partition of [0, 1]) {
    const want = values.map(Number).filter((i) => i % 2 === partition)
    assert.deepEqual(seen.filter(([p]) => p === partition).map(([, value]) => value), want)
  }
}

async function main () {
  await administrate()
  await codecs()
  await group('classic', { heartbeatInterval: 300, sessionTimeout: 30_000, rebalanceTimeout: 60_000 })
  await group('consumer', { groupProtocol: 'consumer', rebalanceTimeout: 60_000 })
  await transactions()
  await admin.deleteTopics({ topics: TOPICS })
  await until('the topics are gone', async () => (await admin.listTopics()).length === 0)
  await admin.close()
  console.log('all is well')
}

main().catch((err) => {
  console.error(err)
  process.exit(1)
})
