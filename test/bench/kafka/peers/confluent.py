"""librdkafka through confluent-kafka, driven by test/bench/kafka/peer-process.ts."""
import json
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

load = json.loads(sys.argv[1])
common = {"bootstrap.servers": load["brokers"]}


def begin():
    print("begin", flush=True)
    sys.stdin.readline()


def end(records, size):
    print(f"end {records} {size}", flush=True)
    sys.stdin.readline()


def values():
    if "file" not in load:
        value = bytes(bytearray((i * 31) % 251 for i in range(load["valueBytes"])))
        for _ in range(load["records"]):
            yield value
        return
    with open(load["file"], "rb") as video:
        while value := video.read(load["valueBytes"]):
            yield value


def produce():
    producer = Producer(
        {
            **common,
            "acks": "all",
            "message.max.bytes": 33554432,
            "enable.idempotence": True,
            "compression.type": "none",
            "linger.ms": load["lingerMs"],
            "batch.size": load["batchBytes"],
            "batch.num.messages": 1000000,
            "queue.buffering.max.kbytes": load["bufferBytes"] // 1024,
            "queue.buffering.max.messages": 2000000,
        }
    )
    producer.list_topics(load["topic"], 10)
    topic = load["topic"]
    begin()
    records = size = 0
    for value in values():
        while True:
            try:
                producer.produce(topic, value, partition=0)
                break
            except BufferError:
                producer.poll(0.05)
        records += 1
        size += len(value)
        if records % 1000 == 0:
            producer.poll(0)
    if producer.flush(100):
        sys.exit("not all was delivered")
    end(records, size)


def fetch():
    consumer = Consumer(
        {
            **common,
            "group.id": "none",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "check.crcs": True,
            "message.max.bytes": min(1000000, load["fetchBytes"]),
            "fetch.max.bytes": load["fetchBytes"],
            "max.partition.fetch.bytes": load["fetchBytes"],
            "receive.message.max.bytes": 200000000,
            "queued.max.messages.kbytes": load["bufferBytes"] // 1024,
            "queued.min.messages": 1000000,
        }
    )
    consumer.get_watermark_offsets(TopicPartition(load["topic"], 0), 10)
    begin()
    consumer.assign([TopicPartition(load["topic"], 0, 0)])
    records = size = 0
    while records < load["records"]:
        for message in consumer.consume(min(10000, load["records"] - records), 0.2):
            if message.error():
                sys.exit(str(message.error()))
            records += 1
            size += len(message.value())
    end(records, size)


produce() if load["mode"] == "produce" else fetch()
