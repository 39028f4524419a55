// kafkajs: produce COUNT records to TOPIC, read them back in a group, print how many.
// usage: node kafkajs.js BOOTSTRAP USER PASSWORD CA TOPIC GROUP COUNT
const fs = require('fs')
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, username, password, ca, topic, groupId, n] = process.argv.slice(2)
const count = Number(n)
const kafka = new Kafka({
  clientId: 'kafkajs-story',
  brokers: [bootstrap],
  ssl: { ca: [fs.readFileSync(ca, 'utf8')] },
  sasl: { mechanism: 'scram-sha-512', username, password },
  logLevel: logLevel.ERROR,
})

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 3 }] })
  const topics = await admin.listTopics()
  if (topics.some((t) => t !== topic && t.includes('.'))) throw new Error(`foreign topics: ${topics}`)
  await admin.disconnect()

  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  for (let i = 0; i < count; i += 100) {
    const messages = Array.from({ length: Math.min(100, count - i) }, (_, k) => ({ key: `${i + k}`, value: `value-${i + k}` }))
    await producer.send({ topic, messages })
  }
  await producer.disconnect()

  const consumer = kafka.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const seen = new Map()
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`only ${seen.size} of ${count} came back`)), 60000).unref()
    consumer
      .run({
        eachMessage: async ({ message }) => {
          seen.set(message.key.toString(), message.value.toString())
          if (seen.size === count) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  for (let i = 0; i < count; i++) if (seen.get(`${i}`) !== `value-${i}`) throw new Error(`record ${i} is ${seen.get(`${i}`)}`)
  console.log(`kafkajs ${count} records, all equal`)
}

main().catch((err) => {
  console.error(err)
  process.exit(1)
})
