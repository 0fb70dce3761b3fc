package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	crashPlain, crashCopy, crashTx, crashKeyed = "plain", "copy", "tx", "keyed"
	crashPartitions                            = 3
	crashCopyGroup                             = "copier"
	crashTxProducers                           = 2
	crashKeyedMin                              = 500
)

// crashLoad is what goes on while the machine loses power: a client for each
// kind of thing that a broker promises.
type crashLoad struct {
	t      *testing.T
	net    *cutNet
	ledger *ledger
	seed   uint64
	// produce and consume end what does so; life ends what hangs when the test has failed.
	produce, consume, life context.Context
	producing, all         sync.WaitGroup
}

func (l *crashLoad) options(opts ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers("broker:9092"), kgo.Dialer(l.net.dial), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.MetadataMinAge(10 * time.Millisecond), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequestRetries(1_000_000),
		kgo.RetryTimeout(2 * time.Minute), kgo.FetchMaxWait(100 * time.Millisecond),
	}, opts...)
}

func (l *crashLoad) client(opts ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(l.options(opts...)...)
	if err != nil {
		l.t.Error(err)
	}
	context.AfterFunc(l.life, c.Close) // idempotent producers wait for their records whatever a context says
	return c
}

// failed reports what must never fail while the test goes on.
func (l *crashLoad) failed(what string, err error) {
	if l.life.Err() == nil {
		l.t.Errorf("%s: %v", what, err)
	}
}

// start runs all the clients until the contexts end.
func (l *crashLoad) start() {
	run := func(wg *sync.WaitGroup, f func(*rand.Rand)) {
		l.seed++
		random := rand.New(rand.NewPCG(l.seed, 1))
		wg.Add(1)
		l.all.Go(func() {
			defer wg.Done()
			f(random)
		})
	}
	var others sync.WaitGroup
	for i := range 2 {
		run(&l.producing, func(r *rand.Rand) { l.producer(fmt.Sprint("p", i), r) })
	}
	run(&l.producing, l.keyed)
	for i := range crashTxProducers {
		run(&l.producing, func(r *rand.Rand) { l.transactions(fmt.Sprint("tx", i), r) })
	}
	run(&l.producing, l.admin)
	run(&others, l.copier)
	run(&others, func(*rand.Rand) { l.member("classic") })
	run(&others, func(*rand.Rand) {
		l.member("next", kgo.WithContext(context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true))) //nolint:staticcheck // franz-go asks for this key
	})
}

// producer sends numbered records, a few at a time, and wants every one acknowledged.
func (l *crashLoad) producer(name string, random *rand.Rand) {
	c := l.client()
	defer c.Close()
	places := make(chan struct{}, 20)
	for n := 0; l.produce.Err() == nil; n++ {
		select {
		case places <- struct{}{}:
		case <-l.life.Done():
			return
		}
		value := fmt.Sprintf("%s:%d", name, n)
		l.ledger.note(func(f *facts) { f.records[value] = false })
		r := &kgo.Record{Topic: crashPlain, Partition: random.Int32N(crashPartitions), Value: []byte(value)}
		c.Produce(l.life, r, func(_ *kgo.Record, err error) {
			if err != nil {
				l.failed("produce "+value, err)
				<-places
				return
			}
			l.ledger.note(func(f *facts) { f.records[value] = true })
			<-places
		})
	}
	if err := c.Flush(l.life); err != nil {
		l.failed("flush", err)
	}
}

// keyed writes growing numbers under a few keys, to a topic that is compacted meanwhile.
// At the end there are enough of them for several segments, however slow the machine is.
func (l *crashLoad) keyed(random *rand.Rand) {
	c := l.client()
	defer c.Close()
	for n := int64(1); l.life.Err() == nil && (l.produce.Err() == nil || n <= crashKeyedMin); n++ {
		key := fmt.Sprint("k", random.IntN(5))
		l.ledger.sendNumber(keyedOf, key, n)
		err := c.ProduceSync(l.life, &kgo.Record{Topic: crashKeyed, Key: []byte(key), Value: strconv.AppendInt(nil, n, 10)}).FirstErr()
		if err != nil {
			l.failed(fmt.Sprint("produce ", key, " ", n), err)
			return
		}
		l.ledger.ackNumber(keyedOf, key, n)
	}
}

// transactions commits and aborts. A client whose transaction failed is replaced by
// another with the same id.
func (l *crashLoad) transactions(id string, random *rand.Rand) {
	for n := 0; l.produce.Err() == nil; {
		c := l.client(kgo.TransactionalID(id))
		for ; l.produce.Err() == nil; n++ {
			if err := l.transaction(c, fmt.Sprintf("%s:%d", id, n), random); err != nil {
				n++
				break
			}
		}
		c.Close()
	}
}

func (l *crashLoad) transaction(c *kgo.Client, name string, random *rand.Rand) error {
	var records []*kgo.Record
	var values []string
	for i := range 1 + random.IntN(4) {
		value := fmt.Sprintf("%s:%d", name, i)
		values = append(values, value)
		records = append(records, &kgo.Record{Topic: crashTx, Partition: random.Int32N(crashPartitions), Value: []byte(value)})
	}
	l.ledger.begin(name, values)
	ctx, cancel := context.WithTimeout(l.life, 30*time.Second)
	defer cancel()
	if err := c.BeginTransaction(); err != nil {
		return err
	}
	if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return errors.Join(err, c.EndTransaction(ctx, kgo.TryAbort))
	}
	commit := random.IntN(3) > 0
	l.ledger.end(name, commit, false)
	if err := c.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		return err
	}
	l.ledger.end(name, commit, true)
	return nil
}

// copier reads, writes and commits in transactions (KIP-447), as stream processors do.
func (l *crashLoad) copier(random *rand.Rand) {
	for l.consume.Err() == nil {
		s, err := kgo.NewGroupTransactSession(l.options(
			kgo.TransactionalID("copier"), kgo.ConsumerGroup(crashCopyGroup), kgo.ConsumeTopics(crashPlain), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.SessionTimeout(2*time.Second), kgo.HeartbeatInterval(50*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		)...)
		if err != nil {
			l.t.Error(err)
			return
		}
		context.AfterFunc(l.life, s.Close)
		// The transaction of the last session ends now: until then its offsets are unstable.
		_, _, err = s.Client().ProducerID(l.consume)
		for err == nil && l.consume.Err() == nil {
			err = l.copySome(s, random)
		}
		s.Close()
	}
}

func (l *crashLoad) copySome(s *kgo.GroupTransactSession, random *rand.Rand) error {
	fetches := s.PollRecords(l.consume, 100)
	if l.consume.Err() != nil || fetches.Empty() {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.life, 30*time.Second)
	defer cancel()
	if err := s.Begin(); err != nil {
		return err
	}
	fetches.EachRecord(func(r *kgo.Record) {
		s.Produce(ctx, &kgo.Record{Topic: crashCopy, Partition: r.Partition, Key: strconv.AppendInt(nil, r.Offset, 10), Value: r.Value}, nil)
	})
	_, err := s.End(ctx, kgo.TransactionEndTry(random.IntN(4) > 0))
	return err
}

// member reads in a group and commits what it has read.
func (l *crashLoad) member(group string, opts ...kgo.Opt) {
	c := l.client(append(opts, kgo.ConsumerGroup(group), kgo.ConsumeTopics(crashPlain), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(2*time.Second), kgo.HeartbeatInterval(50*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	defer c.Close()
	for l.consume.Err() == nil {
		var last []*kgo.Record
		c.PollRecords(l.consume, 50).EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) > 0 {
				last = append(last, p.Records[len(p.Records)-1])
			}
		})
		for _, r := range last {
			name := fmt.Sprint(group, " ", r.Partition)
			l.ledger.sendNumber(offsetsOf, name, r.Offset+1)
			ctx, cancel := context.WithTimeout(l.life, 5*time.Second)
			if err := c.CommitRecords(ctx, r); err == nil {
				l.ledger.ackNumber(offsetsOf, name, r.Offset+1)
			}
			cancel()
		}
	}
}

// admin changes topics, configs, ACLs and quotas.
func (l *crashLoad) admin(random *rand.Rand) {
	c := l.client()
	defer c.Close()
	admin := kadm.NewClient(c)
	changes := []func(context.Context, *kadm.Client, int){l.churnTopic, l.churnConfig, l.churnACL, l.churnQuota}
	for n := 1; l.produce.Err() == nil; n++ {
		ctx, cancel := context.WithTimeout(l.life, 5*time.Second)
		changes[random.IntN(len(changes))](ctx, admin, n)
		cancel()
	}
}

func (l *crashLoad) churnTopic(ctx context.Context, admin *kadm.Client, n int) {
	name := fmt.Sprint("churn-", n%3)
	if n%2 == 0 {
		_ = l.ledger.change("topic "+name, "", func() error { // a failure leaves either value
			_, err := admin.DeleteTopic(ctx, name)
			if errors.Is(err, kerr.UnknownTopicOrPartition) {
				return nil
			}
			return err
		})
		return
	}
	_ = l.ledger.change("topic "+name, "there", func() error {
		_, err := admin.CreateTopic(ctx, 2, 1, nil, name)
		if errors.Is(err, kerr.TopicAlreadyExists) {
			return nil
		}
		return err
	})
}

func (l *crashLoad) churnConfig(ctx context.Context, admin *kadm.Client, n int) {
	value := strconv.Itoa(1_000_000 + n)
	_ = l.ledger.change("config", value, func() error {
		resp, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.bytes", Value: &value}}, crashTx)
		if err == nil {
			err = resp[0].Err
		}
		return err
	})
}

func (l *crashLoad) churnACL(ctx context.Context, admin *kadm.Client, n int) {
	user := fmt.Sprint("User:u", n%3)
	builder := kadm.NewACLs().Topics("t").Allow(user).AllowHosts("*").Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral)
	if n%2 == 0 {
		_ = l.ledger.change("acl "+user, "", func() error {
			_, err := admin.DeleteACLs(ctx, builder)
			return err
		})
		return
	}
	_ = l.ledger.change("acl "+user, "there", func() error {
		resp, err := admin.CreateACLs(ctx, builder)
		if err == nil {
			err = resp[0].Err
		}
		return err
	})
}

func (l *crashLoad) churnQuota(ctx context.Context, admin *kadm.Client, n int) {
	entry := kadm.AlterClientQuotaEntry{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: new("somebody")}},
		Ops:    []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: float64(1_000_000 + n)}},
	}
	_ = l.ledger.change("quota", strconv.Itoa(1_000_000+n), func() error {
		resp, err := admin.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{entry})
		if err == nil {
			err = resp[0].Err
		}
		return err
	})
}
