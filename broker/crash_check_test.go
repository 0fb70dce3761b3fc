package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// crashCheck holds a node that was started on what a crash left to what clients
// knew right before the crash (promised) and right after it (asked).
type crashCheck struct {
	t               *testing.T
	c               *kgo.Client
	promised, asked facts
}

func (k *crashCheck) run() {
	k.t.Helper()
	k.abortOpen()
	k.nothingHangs()
	k.records()
	k.keyed()
	k.transactions()
	k.copies()
	k.offsets()
	k.objects()
}

// abortOpen comes back with each transactional id, as its producer would: what
// was not decided is aborted, what was decided is completed.
func (k *crashCheck) abortOpen() {
	k.t.Helper()
	ids := []string{"copier"}
	for i := range crashTxProducers {
		ids = append(ids, fmt.Sprint("tx", i))
	}
	for _, id := range ids {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 60_000
		k.until("the transactional id "+id+" is free", func() error {
			resp, err := req.RequestWith(k.t.Context(), k.c)
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			return err
		})
	}
}

// until asks again while the answer is an error that passes.
func (k *crashCheck) until(what string, ask func() error) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			k.t.Fatalf("%s: not within a minute: %v", what, err)
		}
	}
}

// nothingHangs: with every transaction decided, none keeps the last stable offset down
// below the end that was there before it was asked for. Sessions that end go on writing.
func (k *crashCheck) nothingHangs() {
	k.t.Helper()
	admin := kadm.NewClient(k.c)
	topics := []string{crashPlain, crashCopy, crashTx, crashKeyed, offsetsTopic}
	ends, err := admin.ListEndOffsets(k.t.Context(), topics...)
	stable, errStable := admin.ListCommittedOffsets(k.t.Context(), topics...)
	if err := errors.Join(err, errStable, ends.Error(), stable.Error()); err != nil {
		k.t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		if at, _ := stable.Lookup(end.Topic, end.Partition); at.Offset < end.Offset {
			k.t.Errorf("%s-%d: the last stable offset is %d, the end %d: a transaction hangs", end.Topic, end.Partition, at.Offset, end.Offset)
		}
	})
}

// read returns all records of a topic that read_committed shows.
func (k *crashCheck) read(topic string) []*kgo.Record {
	k.t.Helper()
	ends, err := kadm.NewClient(k.c).ListEndOffsets(k.t.Context(), topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		k.t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	k.c.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart(), 1: kgo.NewOffset().AtStart(), 2: kgo.NewOffset().AtStart()}})
	defer k.c.RemoveConsumePartitions(map[string][]int32{topic: {0, 1, 2}})
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	var all []*kgo.Record
	for len(left) > 0 {
		fetches := k.c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			k.t.Fatalf("read %s, partitions %v are left: %v", topic, left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
		})
	}
	return all
}

// records: every acknowledged one is there, each at most once and in its producer's order.
func (k *crashCheck) records() {
	k.t.Helper()
	seen, last := map[string]bool{}, map[string]int{}
	for _, r := range k.read(crashPlain) {
		value := string(r.Value)
		if _, asked := k.asked.records[value]; !asked {
			k.t.Errorf("%s was never sent", value)
		}
		if seen[value] {
			k.t.Errorf("%s is there twice, again at %d-%d", value, r.Partition, r.Offset)
		}
		seen[value] = true
		producer, number, _ := strings.Cut(value, ":")
		n, err := strconv.Atoi(number)
		if err != nil {
			k.t.Errorf("%q: %v", value, err)
		}
		order := fmt.Sprint(producer, " ", r.Partition)
		if before, ok := last[order]; ok && n < before {
			k.t.Errorf("%s comes after %d in partition %d", value, before, r.Partition)
		}
		last[order] = n
	}
	for value, acked := range k.promised.records {
		if acked && !seen[value] {
			k.t.Errorf("%s was acknowledged and is not there", value)
		}
	}
}

// keyed: of each key the last acknowledged record, or a later one, is there, in order.
func (k *crashCheck) keyed() {
	k.t.Helper()
	last := map[string]int64{}
	for _, r := range k.read(crashKeyed) {
		n, err := strconv.ParseInt(string(r.Value), 10, 64)
		if key := string(r.Key); err != nil || n <= last[key] || n > k.asked.keyed[key].sent {
			k.t.Errorf("%s: %q after %d, of %d that were sent: %v", key, r.Value, last[key], k.asked.keyed[key].sent, err)
		}
		last[string(r.Key)] = n
	}
	for key, want := range k.promised.keyed {
		if last[key] < want.acked {
			k.t.Errorf("key %s has %d, acknowledged was %d", key, last[key], want.acked)
		}
	}
}

// transactions: those whose commit was told are there, each whole; none that was
// aborted or not to be committed is.
func (k *crashCheck) transactions() {
	k.t.Helper()
	seen := map[string]int{}
	for _, r := range k.read(crashTx) {
		seen[string(r.Value)]++
	}
	for name, o := range k.asked.transactions {
		count := 0
		for _, v := range o.values {
			if seen[v] > 1 {
				k.t.Errorf("%s is there %d times", v, seen[v])
			}
			count += min(seen[v], 1)
			delete(seen, v)
		}
		told := k.promised.transactions[name].told
		switch {
		case count > 0 && (!o.asked || !o.commit):
			k.t.Errorf("transaction %s shows %d of its records and was not committed: %+v", name, count, o)
		case count > 0 && count < len(o.values):
			k.t.Errorf("transaction %s shows %d of its %d records", name, count, len(o.values))
		case count == 0 && o.commit && told:
			k.t.Errorf("transaction %s was committed and is not there", name)
		}
	}
	if len(seen) > 0 {
		k.t.Errorf("%d records of unknown transactions: %v", len(seen), seen)
	}
}

// committed returns the offsets of a group, when no transaction is about to change them.
func (k *crashCheck) committed(group string) map[int32]int64 {
	k.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	one := kmsg.NewOffsetFetchRequestGroup()
	one.Group = group
	req.Group, req.Groups = group, []kmsg.OffsetFetchRequestGroup{one}
	offsets := map[int32]int64{}
	k.until("the offsets of "+group, func() error {
		resp, err := req.RequestWith(k.t.Context(), k.c)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.Groups[0].ErrorCode); err != nil {
			return err
		}
		for _, topic := range resp.Groups[0].Topics {
			for _, p := range topic.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return err
				}
				offsets[p.Partition] = p.Offset
			}
		}
		return nil
	})
	return offsets
}

// copies: the records that the copier has written are those before the offsets
// that it has committed in the same transactions, each once.
func (k *crashCheck) copies() {
	k.t.Helper()
	copied := map[int32][]int64{}
	for _, r := range k.read(crashCopy) {
		from, err := strconv.ParseInt(string(r.Key), 10, 64)
		if err != nil {
			k.t.Errorf("%q: %v", r.Key, err)
		}
		copied[r.Partition] = append(copied[r.Partition], from)
	}
	offsets := k.committed(crashCopyGroup)
	for p := range int32(crashPartitions) {
		slices.Sort(copied[p])
		for i, from := range copied[p] {
			if from != int64(i) {
				k.t.Errorf("partition %d: copy %d is of offset %d", p, i, from)
				break
			}
		}
		if int64(len(copied[p])) != max(offsets[p], 0) {
			k.t.Errorf("partition %d: %d records are copied, the offset %d is committed", p, len(copied[p]), offsets[p])
		}
	}
}

// offsets of both kinds of groups are at least those that were acknowledged.
func (k *crashCheck) offsets() {
	k.t.Helper()
	got := map[string]map[int32]int64{"classic": k.committed("classic"), "next": k.committed("next")}
	for name, asked := range k.asked.offsets {
		group, partition, _ := strings.Cut(name, " ")
		p, err := strconv.ParseInt(partition, 10, 32)
		if err != nil {
			k.t.Fatal(err)
		}
		at := max(got[group][int32(p)], 0)
		if low := k.promised.offsets[name].acked; at < low || at > asked.sent {
			k.t.Errorf("group %s is at %d, acknowledged was %d, asked for %d", name, at, low, asked.sent)
		}
	}
}

// objects of the metadata have a value that was acknowledged, or asked for since.
func (k *crashCheck) objects() {
	k.t.Helper()
	admin := kadm.NewClient(k.c)
	ctx := k.t.Context()
	got := map[string]string{}
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	for name := range topics {
		got["topic "+name] = "there"
	}
	configs, err := admin.DescribeTopicConfigs(ctx, crashTx)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.bytes" {
			got["config"] = c.MaybeValue()
		}
	}
	acls, err := admin.DescribeACLs(ctx, kadm.NewACLs().Topics().Allow().AllowHosts().Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral))
	if err != nil {
		k.t.Fatal(err)
	}
	for _, of := range acls {
		for _, d := range of.Described {
			got["acl "+d.Principal] = "there"
		}
	}
	quotas, err := admin.DescribeClientQuotas(ctx, false, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchType: kmsg.QuotasMatchTypeAny}})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, q := range quotas {
		got["quota"] = strconv.FormatFloat(q.Values[0].Value, 'f', -1, 64)
	}
	for name, asked := range k.asked.objects {
		possible := append([]string{k.promised.objects[name].acked, asked.acked}, asked.maybe...)
		if name == "config" && possible[0] == "" {
			possible = append(possible, "-1") // the default
		}
		if !slices.Contains(possible, got[name]) {
			k.t.Errorf("%s is %q, it can only be one of %q", name, got[name], possible)
		}
	}
}
