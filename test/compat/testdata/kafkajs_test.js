// kafkajs, a client in JavaScript: kafkajs_test.js BOOTSTRAP.
//
// Produces with all codecs, consumes as one and as two members of a group, goes on at
// commits, copies in transactions (some of them aborted), and does what an administrator does.
'use strict'
const assert = require('node:assert')
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, AclResourceTypes, AclOperationTypes,
  AclPermissionTypes, ResourcePatternTypes, Partitioners, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4js')
const xxh32 = require('lz4js/xxh32')
const { ZstdCodec } = require('zstd-codec')

const kafka = new Kafka({ clientId: 'compat', brokers: [process.argv[2]], logLevel: logLevel.ERROR, retry: { retries: 12 } })
const admin = kafka.admin()

// collect runs members of a group until done() and returns when all have left.
async function collect (groupId, topic, members, done, eachMessage, config = {}) {
  const consumers = []
  let finish
  const finished = new Promise((resolve) => { finish = resolve })
  for (let i = 0; i < members; i++) {
    const consumer = kafka.consumer({ groupId, sessionTimeout: 60000, heartbeatInterval: 300, rebalanceTimeout: 60000, ...config })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    consumers.push(consumer)
    await consumer.run({
      eachMessage: async (m) => {
        await eachMessage(m, i)
        if (done()) finish()
      }
    })
  }
  if (done()) finish()
  await finished
  for (const consumer of consumers) await consumer.disconnect()
}

// lz4Frame compresses to a frame of one block and says that its blocks are independent,
// which lz4js leaves out and Kafka's reader asks for.
function lz4Frame (buffer) {
  const frame = Buffer.from(lz4.compress(buffer))
  frame[4] |= 0x20
  frame[6] = (xxh32.hash(0, frame, 4, 2) >> 8) & 0xff
  return frame
}

async function codecs () {
  CompressionCodecs[CompressionTypes.Snappy] = snappy
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async (encoder) => lz4Frame(encoder.buffer),
    decompress: async (buffer) => Buffer.from(lz4.decompress(buffer))
  })
  const simple = await new Promise((resolve) => ZstdCodec.run((zstd) => resolve(new zstd.Simple())))
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => Buffer.from(simple.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(simple.decompress(buffer))
  })
  await admin.createTopics({ topics: [{ topic: 'codecs', numPartitions: 2, replicationFactor: 1 }], waitForLeaders: true })
  const want = new Set()
  for (const idempotent of [false, true]) {
    const producer = kafka.producer({ idempotent, maxInFlightRequests: 1, createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    for (const [name, compression] of Object.entries(CompressionTypes)) {
      const messages = []
      for (let i = 0; i < 50; i++) {
        const value = `${name}-${idempotent}-${i}`
        want.add(value)
        messages.push({ key: value, value, headers: { h: 'v' }, timestamp: '1700000000000' })
      }
      await producer.send({ topic: 'codecs', compression, acks: -1, messages })
    }
    await producer.disconnect()
  }
  assert.strictEqual(want.size, 500)
  const got = new Set()
  await collect('codecs', 'codecs', 1, () => got.size === want.size, async ({ message }) => {
    const value = message.value.toString()
    assert(want.has(value) && !got.has(value), `unexpected or repeated: ${value}`)
    assert.strictEqual(message.key.toString(), value)
    assert.strictEqual(message.headers.h.toString(), 'v')
    assert.strictEqual(message.timestamp, '1700000000000')
    got.add(value)
  })
  console.log('codecs, idempotence, consume: well')
}

async function groups () {
  await admin.createTopics({ topics: [{ topic: 'shared', numPartitions: 4, replicationFactor: 1 }], waitForLeaders: true })
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  let sent = 0
  const send = () => producer.send({ topic: 'shared', messages: [0, 1, 2, 3].map((partition) => ({ partition, value: String(sent++) })) })
  for (let i = 0; i < 10; i++) await send()
  const got = new Map()
  const by = new Set()
  // Two members read until both have had something.
  let enough = false
  const more = (async () => { while (!enough) await send() })()
  await collect('shared', 'shared', 2, () => by.size === 2, async ({ message }, member) => {
    got.set(message.value.toString(), (got.get(message.value.toString()) || 0) + 1)
    by.add(member)
  })
  enough = true
  await more
  // One goes on where they were.
  await collect('shared', 'shared', 1, () => got.size === sent, async ({ message }) => {
    got.set(message.value.toString(), (got.get(message.value.toString()) || 0) + 1)
  })
  await producer.disconnect()
  const { groups: listed } = await admin.listGroups()
  assert(listed.some((g) => g.groupId === 'shared'), 'the group is listed')
  const described = await admin.describeGroups(['shared'])
  assert.strictEqual(described.groups[0].state, 'Empty')
  const committed = await admin.fetchOffsets({ groupId: 'shared', topics: ['shared'] })
  for (const end of await admin.fetchTopicOffsets('shared')) { // a send that was tried again may be there twice
    assert.strictEqual(committed[0].partitions.find((p) => p.partition === end.partition).offset, end.high)
  }
  await admin.resetOffsets({ groupId: 'shared', topic: 'shared', earliest: true })
  await admin.setOffsets({ groupId: 'shared', topic: 'shared', partitions: [{ partition: 0, offset: '1' }] })
  const moved = await admin.fetchOffsets({ groupId: 'shared', topics: ['shared'] })
  assert.strictEqual(moved[0].partitions.find((p) => p.partition === 0).offset, '1')
  await admin.deleteGroups(['shared'])
  console.log('groups: well')
}

async function transactions () {
  await admin.createTopics({ topics: ['in', 'out'].map((topic) => ({ topic, numPartitions: 1, replicationFactor: 1 })), waitForLeaders: true })
  const plain = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await plain.connect()
  await plain.send({ topic: 'in', messages: Array.from({ length: 30 }, (_, i) => ({ value: String(i) })) })
  await plain.disconnect()
  const producer = kafka.producer({ transactionalId: 'copier', idempotent: true, maxInFlightRequests: 1, createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const consumer = kafka.consumer({ groupId: 'copiers', sessionTimeout: 60000, heartbeatInterval: 300, readUncommitted: false })
  await consumer.connect()
  await consumer.subscribe({ topics: ['in'], fromBeginning: true })
  let copied = 0
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, (e) => reject(e.payload.error))
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        for (const abort of Number(message.value) % 3 === 0 ? [true, false] : [false]) {
          const transaction = await producer.transaction()
          await transaction.send({ topic: 'out', messages: [{ value: (abort ? 'aborted-' : '') + message.value }] })
          await transaction.sendOffsets({ consumerGroupId: 'copiers', topics: [{ topic, partitions: [{ partition, offset: String(Number(message.offset) + 1) }] }] })
          await (abort ? transaction.abort() : transaction.commit())
        }
        if (++copied === 30) resolve()
      }
    }).catch(reject)
  })
  await consumer.disconnect()
  await producer.disconnect()
  const committed = await admin.fetchOffsets({ groupId: 'copiers', topics: ['in'] })
  assert.strictEqual(committed[0].partitions[0].offset, '30')
  const got = []
  await collect('readers', 'out', 1, () => got.length >= 30, async ({ message }) => { got.push(message.value.toString()) }, { readUncommitted: false })
  assert.deepStrictEqual(got, Array.from({ length: 30 }, (_, i) => String(i)))
  console.log('transactions, read_committed: well')
}

async function administration () {
  await admin.createTopics({ topics: [{ topic: 'made', numPartitions: 1, replicationFactor: 1, configEntries: [{ name: 'retention.ms', value: '3600000' }] }], waitForLeaders: true })
  assert.strictEqual(await admin.createTopics({ topics: [{ topic: 'made' }] }), false, 'it is there already')
  await admin.createPartitions({ topicPartitions: [{ topic: 'made', count: 3 }] })
  const { topics } = await admin.fetchTopicMetadata({ topics: ['made'] })
  assert.strictEqual(topics[0].partitions.length, 3)
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: 'made', configEntries: [{ name: 'retention.ms', value: '7200000' }] }] })
  const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: 'made', configNames: ['retention.ms'] }] })
  assert.strictEqual(resources[0].configEntries[0].configValue, '7200000')
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  await producer.send({ topic: 'made', acks: 1, messages: Array.from({ length: 10 }, (_, i) => ({ partition: 0, value: String(i), timestamp: String(1700000000000 + 1000 * i) })) })
  await producer.disconnect()
  const ends = await admin.fetchTopicOffsets('made')
  assert.strictEqual(ends.find((p) => p.partition === 0).high, '10')
  const at = await admin.fetchTopicOffsetsByTimestamp('made', 1700000005000)
  assert.strictEqual(at.find((p) => p.partition === 0).offset, '5')
  await admin.deleteTopicRecords({ topic: 'made', partitions: [{ partition: 0, offset: '4' }] })
  assert.strictEqual((await admin.fetchTopicOffsets('made')).find((p) => p.partition === 0).low, '4')
  const cluster = await admin.describeCluster()
  assert.strictEqual(cluster.brokers.length, 1)
  const acl = {
    resourceType: AclResourceTypes.TOPIC, resourceName: 'made', resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:somebody', host: '*', operation: AclOperationTypes.READ, permissionType: AclPermissionTypes.ALLOW
  }
  await admin.createAcls({ acl: [acl] })
  const found = await admin.describeAcls({ ...acl, principal: undefined, host: undefined })
  assert.strictEqual(found.resources[0].acls[0].principal, 'User:somebody')
  await admin.deleteAcls({ filters: [acl] })
  await admin.deleteTopics({ topics: ['made'] })
  assert(!(await admin.listTopics()).includes('made'), 'the deleted topic is still listed')
  console.log('admin, acls: well')
}

async function main () {
  await admin.connect()
  await codecs()
  await groups()
  await transactions()
  await administration()
  await admin.disconnect()
  console.log('all is well')
}

main().then(() => process.exit(0), (err) => { console.error(err); process.exit(1) })
