"""kafka-python as in tutorials: each slice of a file is sent, and waited for. Driven by test/bench/kafka/peer-process.ts."""
import json
import sys

from kafka import KafkaProducer

load = json.loads(sys.argv[1])
producer = KafkaProducer(
    bootstrap_servers=load["brokers"].split(","),
    acks="all",
    max_request_size=33554432,
)
producer.partitions_for(load["topic"])
print("begin", flush=True)
sys.stdin.readline()
records = size = 0
with open(load["file"], "rb") as video:
    while value := video.read(load["valueBytes"]):
        producer.send(load["topic"], value, partition=0).get(timeout=60)
        records += 1
        size += len(value)
print(f"end {records} {size}", flush=True)
sys.stdin.readline()
