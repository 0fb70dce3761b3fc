package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configResource is one row of config list.
type configResource struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

func configList(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "list KIND", Short: "List what of a kind has configs", Aliases: []string{"ls"},
		Example: "  millrace config list group", Args: Arguments(cobra.ExactArgs(1)), ValidArgsFunction: fixedCompletions(configKinds()...),
	}, func(cmd *cobra.Command, args []string) error {
		if _, err := configType(args[0]); err != nil {
			return err
		}
		return g.withFranz(func(cl *kgo.Client) error {
			found, err := listResources(cmd.Context(), cl, args[0])
			if err != nil {
				return err
			}
			rows := make([]configResource, 0, len(found))
			for _, r := range found {
				rows = append(rows, configResource{kindName(r.Type), r.Name})
			}
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), rows)
			}
			t := newTable(cmd.OutOrStdout(), "KIND", "NAME")
			for _, r := range rows {
				t.row(r.Kind, r.Name)
			}
			return t.flush()
		})
	})
}

// listResources finds everything of a kind: topics and brokers are known from the
// metadata, of the others those with a config (KIP-1142).
func listResources(ctx context.Context, cl *kgo.Client, kind string) ([]resource, error) {
	t, err := configType(kind)
	if err != nil {
		return nil, err
	}
	var names []string
	switch t {
	case kmsg.ConfigResourceTypeTopic:
		topics, listErr := kadm.NewClient(cl).ListTopicsWithInternal(ctx)
		names, err = topics.Names(), listErr
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
		brokers, listErr := kadm.NewClient(cl).ListBrokers(ctx)
		for _, b := range brokers {
			names = append(names, strconv.Itoa(int(b.NodeID)))
		}
		err = listErr
	default:
		names, err = namesWithConfigs(ctx, cl, t)
	}
	if err != nil {
		return nil, fmt.Errorf("list what has configs: %w", err)
	}
	slices.Sort(names)
	found := make([]resource, 0, len(names))
	for _, name := range names {
		found = append(found, resource{t, name})
	}
	return found, nil
}

// brokersExist is an error when a broker is wanted that is not there: what is asked of a
// broker goes to it, so none would answer. What is no number is left to the cluster.
func brokersExist(ctx context.Context, cl *kgo.Client, wanted []resource) error {
	for _, r := range wanted {
		_, err := strconv.ParseInt(r.Name, 10, 32)
		if err != nil || r.Type != kmsg.ConfigResourceTypeBroker && r.Type != kmsg.ConfigResourceTypeBrokerLogger {
			continue
		}
		brokers, err := listResources(ctx, cl, "broker")
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(brokers, func(b resource) bool { return b.Name == r.Name }) {
			names := make([]string, len(brokers))
			for i, b := range brokers {
				names[i] = b.Name
			}
			return &apiError{r.String(), kerr.BrokerIDNotRegistered, "there is none of this id, only " + strings.Join(names, ", ") + ": write one of these"}
		}
	}
	return nil
}

func namesWithConfigs(ctx context.Context, cl *kgo.Client, t kmsg.ConfigResourceType) ([]string, error) {
	req := kmsg.NewPtrListConfigResourcesRequest()
	req.ResourceTypes = []int8{int8(t)}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	var names []string
	for _, r := range resp.ConfigResources {
		if r.Type == int8(t) {
			names = append(names, r.Name)
		}
	}
	return names, nil
}

// completeConfigs offers kinds, then names of the kind.
func (g *Globals) completeConfigs(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return configKinds(), cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	err := g.withFranz(func(cl *kgo.Client) error {
		found, err := listResources(cmd.Context(), cl, args[0])
		for _, r := range found {
			if strings.HasPrefix(r.Name, begin) && !slices.Contains(args[1:], r.Name) {
				names = append(names, r.Name)
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
