package client

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func clusterCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "cluster", Short: "Describe the cluster: brokers, quorum of its metadata, features, APIs"},
		clusterDescribe(g), clusterQuorum(g), clusterFeatures(g), clusterSetFeature(g), clusterAPIs(g))
}

// clusterBroker is one broker of cluster describe.
type clusterBroker struct {
	ID   int32   `json:"id"`
	Host string  `json:"host"`
	Port int32   `json:"port"`
	Rack *string `json:"rack"`
}

type clusterSummary struct {
	ID         string          `json:"cluster_id"`
	Controller int32           `json:"controller"`
	Brokers    []clusterBroker `json:"brokers"`
}

func clusterDescribe(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "describe", Short: "Show the cluster's id and brokers", Args: Arguments(cobra.NoArgs),
	}, func(cmd *cobra.Command, _ []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			meta, err := kadm.NewClient(cl).BrokerMetadata(cmd.Context())
			if err != nil {
				return fmt.Errorf("describe the cluster: %w", err)
			}
			s := clusterSummary{meta.Cluster, meta.Controller, []clusterBroker{}}
			for _, b := range meta.Brokers {
				s.Brokers = append(s.Brokers, clusterBroker{b.NodeID, b.Host, b.Port, b.Rack})
			}
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), s)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "cluster %s, controller %d\n", printable(s.ID), s.Controller)
			t := newTable(cmd.OutOrStdout(), "BROKER", "HOST", "PORT", "RACK")
			for _, b := range s.Brokers {
				rack := ""
				if b.Rack != nil {
					rack = *b.Rack
				}
				t.row(b.ID, b.Host, b.Port, dashed(rack))
			}
			return t.flush()
		})
	})
}

// quorumReplica is one voter or observer of cluster quorum.
type quorumReplica struct {
	Node         int32  `json:"node"`
	Role         string `json:"role"`
	LogEnd       int64  `json:"log_end_offset"`
	Lag          int64  `json:"lag"`
	LastFetchMs  int64  `json:"last_fetch_ms"`
	LastCaughtMs int64  `json:"last_caught_up_ms"`
}

type quorum struct {
	Leader        int32           `json:"leader"`
	Epoch         int32           `json:"leader_epoch"`
	HighWatermark int64           `json:"high_watermark"`
	Replicas      []quorumReplica `json:"replicas"`
}

func clusterQuorum(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "quorum", Short: "Show the voters of the cluster's metadata and how far each is", Args: Arguments(cobra.NoArgs),
	}, func(cmd *cobra.Command, _ []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			req := kmsg.NewPtrDescribeQuorumRequest()
			req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}}}}
			resp, err := req.RequestWith(cmd.Context(), cl)
			if err != nil {
				return fmt.Errorf("describe the quorum: %w", err)
			}
			if err := apiResult(resp.ErrorCode, resp.ErrorMessage, "describe the quorum"); err != nil {
				return err
			}
			if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
				return fmt.Errorf("describe the quorum: the answer has no partition")
			}
			p := resp.Topics[0].Partitions[0]
			if err := apiResult(p.ErrorCode, p.ErrorMessage, "describe the quorum"); err != nil {
				return err
			}
			return printQuorum(g, cmd, quorumOf(&p))
		})
	})
}

func quorumOf(p *kmsg.DescribeQuorumResponseTopicPartition) quorum {
	q := quorum{p.LeaderID, p.LeaderEpoch, p.HighWatermark, []quorumReplica{}}
	leaderEnd := p.HighWatermark
	for _, r := range p.CurrentVoters {
		if r.ReplicaID == p.LeaderID {
			leaderEnd = r.LogEndOffset
		}
	}
	add := func(role string, r kmsg.DescribeQuorumResponseTopicPartitionReplicaState) {
		q.Replicas = append(q.Replicas, quorumReplica{r.ReplicaID, role, r.LogEndOffset, max(leaderEnd-r.LogEndOffset, 0), r.LastFetchTimestamp, r.LastCaughtUpTimestamp})
	}
	for _, r := range p.CurrentVoters {
		role := "follower"
		if r.ReplicaID == p.LeaderID {
			role = "leader"
		}
		add(role, r)
	}
	for _, r := range p.Observers {
		add("observer", r)
	}
	return q
}

func printQuorum(g *Globals, cmd *cobra.Command, q quorum) error {
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), q)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "leader %d, epoch %d, high watermark %d\n", q.Leader, q.Epoch, q.HighWatermark)
	t := newTable(cmd.OutOrStdout(), "NODE", "ROLE", "LOG END", "LAG", "LAST FETCH")
	for _, r := range q.Replicas {
		fetched := "-"
		if r.LastFetchMs > 0 {
			fetched = formatTime(time.UnixMilli(r.LastFetchMs))
		}
		t.row(r.Node, r.Role, r.LogEnd, r.Lag, fetched)
	}
	return t.flush()
}

// clusterFeature is one row of cluster features.
type clusterFeature struct {
	Name      string `json:"feature"`
	Min       int16  `json:"supported_min"`
	Max       int16  `json:"supported_max"`
	Finalized int16  `json:"finalized"`
}

func clusterFeatures(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "features", Short: "Show the features with their levels", Args: Arguments(cobra.NoArgs),
	}, func(cmd *cobra.Command, _ []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(cmd.Context(), cl)
			if err != nil {
				return fmt.Errorf("describe features: %w", err)
			}
			rows := []clusterFeature{}
			for _, f := range resp.SupportedFeatures {
				row := clusterFeature{f.Name, f.MinVersion, f.MaxVersion, 0}
				for _, done := range resp.FinalizedFeatures {
					if done.Name == f.Name {
						row.Finalized = done.MaxVersionLevel
					}
				}
				rows = append(rows, row)
			}
			slices.SortFunc(rows, func(a, b clusterFeature) int { return strings.Compare(a.Name, b.Name) })
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), rows)
			}
			t := newTable(cmd.OutOrStdout(), "FEATURE", "SUPPORTED", "LEVEL")
			for _, r := range rows {
				t.row(r.Name, fmt.Sprintf("%d-%d", r.Min, r.Max), r.Finalized)
			}
			return t.flush()
		})
	})
}

func clusterSetFeature(g *Globals) *cobra.Command {
	var downgrade, unsafe, dryRun bool
	c := g.command(&cobra.Command{
		Use: "set-feature NAME=LEVEL...", Short: "Set levels of features; level 0 turns one off",
		Example: "  millrace cluster set-feature group.version=1 transaction.version=2",
		Args:    Arguments(cobra.MinimumNArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.TimeoutMillis, req.ValidateOnly = 60_000, dryRun
		for _, arg := range args {
			var level int16
			name, text, _ := strings.Cut(arg, "=")
			if n, err := fmt.Sscanf(text, "%d", &level); n != 1 || err != nil || name == "" || level < 0 {
				return usagef("%q is not of the form NAME=LEVEL", arg)
			}
			u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			u.Feature, u.MaxVersionLevel, u.UpgradeType, u.AllowDowngrade = name, level, 1, downgrade || unsafe
			switch {
			case unsafe:
				u.UpgradeType = 3
			case downgrade || level == 0:
				u.UpgradeType, u.AllowDowngrade = 2, true
			}
			req.FeatureUpdates = append(req.FeatureUpdates, u)
		}
		return g.withFranz(func(cl *kgo.Client) error {
			resp, err := req.RequestWith(cmd.Context(), cl)
			if err != nil {
				return fmt.Errorf("set features: %w", err)
			}
			for _, r := range resp.Results {
				if err := apiResult(r.ErrorCode, r.ErrorMessage, "feature %q", r.Feature); err != nil {
					return err
				}
			}
			if err := apiResult(resp.ErrorCode, resp.ErrorMessage, "set features"); err != nil {
				return err
			}
			return eachName(g, cmd, args, "set", func(string) error { return nil })
		})
	})
	c.Flags().BoolVar(&downgrade, "downgrade", false, "allow a lower level, where nothing is lost by it")
	c.Flags().BoolVar(&unsafe, "unsafe", false, "allow a lower level although metadata may be lost")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "have the broker check it, and change nothing")
	return c
}

// clusterAPI is one row of cluster apis.
type clusterAPI struct {
	Key  int16  `json:"key"`
	Name string `json:"api"`
	Min  int16  `json:"min"`
	Max  int16  `json:"max"`
}

func clusterAPIs(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "apis", Short: "Show the APIs and versions that the broker answers", Args: Arguments(cobra.NoArgs),
	}, func(cmd *cobra.Command, _ []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(cmd.Context(), cl)
			if err != nil {
				return fmt.Errorf("list APIs: %w", err)
			}
			rows := []clusterAPI{}
			for _, k := range resp.ApiKeys {
				name := kmsg.NameForKey(k.ApiKey)
				rows = append(rows, clusterAPI{k.ApiKey, name, k.MinVersion, k.MaxVersion})
			}
			slices.SortFunc(rows, func(a, b clusterAPI) int { return int(a.Key) - int(b.Key) })
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), rows)
			}
			t := newTable(cmd.OutOrStdout(), "KEY", "API", "VERSIONS")
			for _, r := range rows {
				t.row(r.Key, r.Name, fmt.Sprintf("%d-%d", r.Min, r.Max))
			}
			return t.flush()
		})
	})
}
