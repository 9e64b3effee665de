// franz-go, driven by test/bench/kafka/peer-process.ts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type load struct {
	Mode, Brokers, Topic, File                                         string
	Records, ValueBytes, BatchBytes, FetchBytes, BufferBytes, LingerMs int
}

var input = bufio.NewReader(os.Stdin)

func say(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	_, _ = input.ReadString('\n')
}

func main() {
	var of load
	if err := json.Unmarshal([]byte(os.Args[1]), &of); err != nil {
		log.Fatal(err)
	}
	if of.Mode == "produce" {
		produce(of)
	} else {
		fetch(of)
	}
}

func open(of load, more ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(more, kgo.SeedBrokers(strings.Split(of.Brokers, ",")...))...)
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Ping(context.Background()); err != nil {
		log.Fatal(err)
	}
	return client
}

func produce(of load) {
	client := open(of,
		kgo.DefaultProduceTopic(of.Topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(int32(of.BatchBytes)),
		kgo.BrokerMaxWriteBytes(100<<20),
		kgo.ProducerLinger(time.Duration(of.LingerMs)*time.Millisecond),
		kgo.MaxBufferedRecords(2_000_000),
		kgo.MaxBufferedBytes(of.BufferBytes))
	defer client.Close()
	records, bytes := 0, 0
	say("begin")
	var failed sync.Once
	send := func(value []byte) {
		client.Produce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Do(func() { log.Fatal(err) })
			}
		})
		records++
		bytes += len(value)
	}
	if of.File == "" {
		value := make([]byte, of.ValueBytes)
		for i := range value {
			value[i] = byte(i * 31 % 251)
		}
		for records < of.Records {
			send(value)
		}
	} else {
		slices(of, send)
	}
	if err := client.Flush(context.Background()); err != nil {
		log.Fatal(err)
	}
	say("end %d %d", records, bytes)
}

func slices(of load, send func([]byte)) {
	video, err := os.Open(of.File)
	if err != nil {
		log.Fatal(err)
	}
	for {
		value := make([]byte, of.ValueBytes)
		n, err := io.ReadFull(video, value)
		if n > 0 {
			send(value[:n])
		}
		if err != nil {
			return
		}
	}
}

func fetch(of load) {
	client := open(of,
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(int32(of.FetchBytes)),
		kgo.FetchMaxPartitionBytes(int32(of.FetchBytes)),
		kgo.BrokerMaxReadBytes(200_000_000))
	defer client.Close()
	say("begin")
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{of.Topic: {0: kgo.NewOffset().At(0)}})
	records, bytes := 0, 0
	for records < of.Records {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			log.Fatal(err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			records++
			bytes += len(record.Value)
		})
	}
	say("end %d %d", records, bytes)
}
