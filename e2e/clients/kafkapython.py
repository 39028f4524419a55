"""kafka-python: produce COUNT records to TOPIC, read them back in a group, print how many.

usage: kafkapython.py BOOTSTRAP USER PASSWORD CA TOPIC GROUP COUNT MECHANISM
"""

import hashlib
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

bootstrap, user, password, ca, topic, group, count, mechanism = sys.argv[1:9]
count = int(count)
common = {
    "bootstrap_servers": bootstrap,
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": mechanism,
    "sasl_plain_username": user,
    "sasl_plain_password": password,
    "ssl_cafile": ca,
}

admin = KafkaAdminClient(**common)
admin.create_topics([NewTopic(name=topic, num_partitions=3, replication_factor=-1)])
admin.close()

producer = KafkaProducer(**common, linger_ms=5)
sent = hashlib.md5(usedforsecurity=False)
futures = []
for i in range(count):
    value = f"value-{i}".encode()
    sent.update(value)
    futures.append(producer.send(topic, value, key=str(i).encode()))
producer.flush(60)
for future in futures:
    future.get(1)
producer.close()

consumer = KafkaConsumer(
    topic, **common, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, consumer_timeout_ms=30000
)
seen = {}
for message in consumer:
    seen[int(message.key)] = message.value
    if len(seen) == count:
        break
consumer.commit()
consumer.close()
if len(seen) != count:
    sys.exit(f"only {len(seen)} of {count} came back")
back = hashlib.md5(usedforsecurity=False)
for i in range(count):
    back.update(seen[i])
if back.hexdigest() != sent.hexdigest():
    sys.exit("checksums differ")
print(f"kafka-python {mechanism} {count} records, checksum equal")
