"""Steady load of librdkafka (confluent-kafka): an idempotent producer and a consumer group with synchronous commits.

Tells what happens, one event a line (see ledger in rolling_test.go), until "stop" on standard input ends producing and
its end ends consuming.

usage: load.py BOOTSTRAP USER PASSWORD CA TOPIC GROUP RECORDS_PER_SECOND

With LOAD_BYTES in the environment records have so many bytes, and only WINDOW of them are on their way: who is throttled
must not pile up what will be too old when its turn comes.

USER and PASSWORD may be empty: then LOAD_SASL is the configuration of another mechanism, as JSON.
"""

import json
import os
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, Producer

bootstrap, user, password, ca, topic, group, rate = sys.argv[1:8]

# The documentation of error_cb calls these informational: the library reconnects by itself.
INFORMATIONAL = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT}

BYTES = int(os.environ.get("LOAD_BYTES", "1"))
WINDOW = 200 if BYTES > 1 else 1 << 30

producing, consuming = threading.Event(), threading.Event()
printing = threading.Lock()


def tell(*words):
    with printing:
        print(*[str(w).replace("\n", " ") for w in words], flush=True)


def on_error(who):
    def callback(err):
        informational = err.code() in INFORMATIONAL and not err.fatal()
        tell("info" if informational else "error", who, err.name(), err.str())

    return callback


def common(who):
    sasl = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user, "sasl.password": password}
    if not user:
        sasl = json.loads(os.environ["LOAD_SASL"])
    return {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_SSL",
        **sasl,
        "ssl.ca.location": ca,
        "error_cb": on_error(who),
    }


def produce():
    producer = Producer({**common("producer"), "enable.idempotence": True})
    begin, i = time.monotonic(), 0
    while not producing.is_set():
        value, sent = str(i), time.monotonic()

        def delivered(err, _, value=value, sent=sent):
            if err:
                tell("error produce:", err)
            else:
                tell("acked", value, int((time.monotonic() - sent) * 1e6))

        while len(producer) >= WINDOW:
            producer.poll(0.1)
        producer.produce(topic, value.ljust(BYTES), key=value, on_delivery=delivered)
        i += 1
        while True:
            left = begin + i / int(rate) - time.monotonic()
            producer.poll(max(0, left))
            if begin + i / int(rate) <= time.monotonic():
                break
    if producer.flush(60):
        tell("error producer: not flushed")


def consume():
    conf = {**common("consumer"), "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    if BYTES > 1:
        conf["session.timeout.ms"] = 10000  # that of older clients: what is late is noticed
    consumer = Consumer(conf)
    consumer.subscribe([topic], on_revoke=lambda _, partitions: partitions and tell("rebalance revoked", partitions))
    while not consuming.is_set():
        messages = consumer.consume(200, 0.2)
        for m in messages:
            if m.error():
                tell("error consumer:", m.error())
            else:
                tell("read", m.value().decode().strip(), m.partition(), m.offset())
        if any(not m.error() for m in messages):
            try:
                consumer.commit(asynchronous=False)
                tell("committed")
            except Exception as e:  # whatever it is, the user would see it
                tell("error commit:", e)
    consumer.close()


producer, consumer = threading.Thread(target=produce), threading.Thread(target=consume)
producer.start()
consumer.start()
sys.stdin.readline()
producing.set()
producer.join()
tell("flushed")
sys.stdin.read()
consuming.set()
consumer.join()
