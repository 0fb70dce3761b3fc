package broker

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/configs"
)

// cleanerConfigs are Kafka's broker configs of log compaction. Those of topics
// that begin with log.cleaner are with the topics' defaults.
func cleanerConfigs() []configDef {
	const (
		ioMax   = "log.cleaner.io.max.bytes.per.second"
		noLimit = "1.7976931348623157E308"
		top     = math.MaxInt64
	)
	defs := []configDef{
		long("log.cleaner.backoff.ms", "15000", 0, top).set(millisOf(func(c configs.Broker) configs.Duration { return c.Cleaner.Backoff })).says("Time between two looks for a log that is dirty enough. broker.cleaner.backoff"),
		long("log.cleaner.dedupe.buffer.size", "134217728", 1<<20, top).set(bytesOf(func(c configs.Broker) configs.Size { return c.Cleaner.Memory })).says("Memory for the keys of the logs that are being compacted. broker.cleaner.memory"),
		boolean("log.cleaner.enable", "true").set(func(c configs.Broker) string { return strconv.FormatBool(c.Cleaner.Threads > 0) }).says("broker.cleaner.threads is not 0."),
		{name: "log.cleaner.io.buffer.load.factor", kind: doubleType, def: "0.9", max: 1, doc: "How full the table of keys may be."},
		integer("log.cleaner.io.buffer.size", "524288", 0, math.MaxInt32).does(effectFixed).says("Compaction writes that much at once."),
		{name: ioMax, kind: doubleType, def: noLimit, max: top, doc: "Bytes that compaction reads and writes in a second. broker.cleaner.bytes_per_second_max", static: func(c configs.Broker) string {
			if c.Cleaner.BytesPerSecondMax == 0 {
				return noLimit
			}
			return strconv.FormatInt(c.Cleaner.BytesPerSecondMax.Bytes(), 10)
		}},
		integer("log.cleaner.threads", "1", 0, 64).set(numberOf(func(c configs.Broker) int { return c.Cleaner.Threads })).says("Logs that are compacted at once. broker.cleaner.threads"),
	}
	for i := range defs {
		defs[i].dynamic = defs[i].name != "log.cleaner.enable"
	}
	return defs
}

// cleanerConfig is what the broker's configs mean for compaction.
func (n *Node) cleanerConfig(image *metadata.Image) storage.CleanerConfig {
	number := func(name string) float64 {
		v, err := strconv.ParseFloat(strings.TrimSpace(n.brokerValue(image, findConfig(n.configs.broker, name))), 64)
		if err != nil {
			panic("broker: config " + name + " was not checked: " + err.Error())
		}
		return v
	}
	cfg := storage.CleanerConfig{
		Threads:           int(number("log.cleaner.threads")),
		MemoryBytesMax:    int64(number("log.cleaner.dedupe.buffer.size")),
		LoadFactor:        number("log.cleaner.io.buffer.load.factor"),
		BytesPerSecondMax: number("log.cleaner.io.max.bytes.per.second"),
		Backoff:           max(time.Duration(min(number("log.cleaner.backoff.ms"), math.MaxInt32))*time.Millisecond, time.Millisecond),
	}
	if cfg.Threads == 0 {
		cfg.Threads = -1
	}
	if cfg.BytesPerSecondMax >= math.MaxInt64 {
		cfg.BytesPerSecondMax = 0
	}
	return cfg
}
