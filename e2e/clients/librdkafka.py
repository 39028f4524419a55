"""librdkafka (confluent-kafka): produce COUNT records to TOPIC, read them back in a group, print how many.

usage: librdkafka.py BOOTSTRAP USER PASSWORD CA TOPIC GROUP COUNT
"""

import hashlib
import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, user, password, ca, topic, group, count = sys.argv[1:8]
count = int(count)
common = {
    "bootstrap.servers": bootstrap,
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": user,
    "sasl.password": password,
    "ssl.ca.location": ca,
}

admin = AdminClient(common)
for future in admin.create_topics([NewTopic(topic, num_partitions=3)]).values():
    future.result(30)

failed = []
producer = Producer({**common, "enable.idempotence": True, "linger.ms": 5})
sent = hashlib.md5(usedforsecurity=False)
for i in range(count):
    value = f"value-{i}"
    sent.update(value.encode())
    producer.produce(topic, value, key=str(i), on_delivery=lambda err, _: err and failed.append(err))
    producer.poll(0)
producer.flush(60)
if failed:
    sys.exit(f"{len(failed)} records failed: {failed[0]}")

consumer = Consumer({**common, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False})
consumer.subscribe([topic])
seen = {}
while len(seen) < count:
    message = consumer.poll(30)
    if message is None:
        sys.exit(f"only {len(seen)} of {count} came back")
    if message.error():
        sys.exit(str(message.error()))
    seen[int(message.key())] = message.value()
consumer.commit(asynchronous=False)
consumer.close()
back = hashlib.md5(usedforsecurity=False)
for i in range(count):
    back.update(seen[i])
if back.hexdigest() != sent.hexdigest():
    sys.exit("checksums differ")
print(f"librdkafka {count} records, checksum equal")
