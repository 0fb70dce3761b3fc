package client

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/configs/kafkaproperties"
)

// configChange is one change of one config.
type configChange = kmsg.IncrementalAlterConfigsRequestResourceConfig

// changeFlags say what is changed.
type changeFlags struct {
	set, unset, add, subtract []string
	file                      string
	dryRun                    bool
}

func (f *changeFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.set, "set", nil, "config `key=value`, may be repeated")
	c.Flags().StringArrayVar(&f.unset, "unset", nil, "config `key` to bring back to its default, may be repeated")
	c.Flags().StringArrayVar(&f.add, "append", nil, "`key=value` to add to a list, may be repeated")
	c.Flags().StringArrayVar(&f.subtract, "subtract", nil, "`key=value` to take out of a list, may be repeated")
	c.Flags().StringVar(&f.file, "set-file", "", "properties `file` with what to set, - for standard input")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "have the broker check it, and change nothing")
}

// changes are what the flags say, each config once.
func (f *changeFlags) changes(stdin io.Reader) ([]configChange, error) {
	set := f.set
	if f.file != "" {
		entries, err := properties(f.file, stdin)
		if err != nil {
			return nil, err
		}
		set = append(entries, set...)
	}
	var out []configChange
	for _, part := range []struct {
		flag string
		op   kmsg.IncrementalAlterConfigOp
		list []string
	}{
		{"--set", kmsg.IncrementalAlterConfigOpSet, set},
		{"--unset", kmsg.IncrementalAlterConfigOpDelete, f.unset},
		{"--append", kmsg.IncrementalAlterConfigOpAppend, f.add},
		{"--subtract", kmsg.IncrementalAlterConfigOpSubtract, f.subtract},
	} {
		for _, s := range part.list {
			key, value, hasValue := strings.Cut(s, "=")
			c := configChange{Name: key, Op: part.op, Value: &value}
			form := "key=value"
			if part.op == kmsg.IncrementalAlterConfigOpDelete {
				c.Value, hasValue, form = nil, !hasValue, "the key alone"
			}
			switch {
			case key == "" || !hasValue:
				return nil, usagef("%s %q: write %s", part.flag, s, form)
			case slices.ContainsFunc(out, func(o configChange) bool { return o.Name == key }):
				return nil, usagef("%s %q: name each config once", part.flag, key)
			}
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, usagef("nothing to alter: write --set, --unset, --append, --subtract or --set-file")
	}
	return out, nil
}

// properties reads a file in the syntax of java.util.Properties as key=value; of a key
// that is there several times the last one counts.
func properties(name string, stdin io.Reader) ([]string, error) {
	f, err := propertiesFile(name, stdin)
	if err != nil {
		return nil, err
	}
	var set []string
	for _, e := range f.Entries {
		if last, _ := f.Get(e.Key); last.Line == e.Line {
			set = append(set, e.Key+"="+strings.TrimSpace(e.Value))
		}
	}
	return set, nil
}

func propertiesFile(name string, stdin io.Reader) (*kafkaproperties.File, error) {
	if name != "-" {
		return kafkaproperties.Load(name)
	}
	content, err := io.ReadAll(stdin)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return kafkaproperties.Parse("standard input", content)
}

func configAlter(g *Globals) *cobra.Command {
	var f changeFlags
	var brokerDefaults bool
	c := g.command(&cobra.Command{
		Use: "alter KIND NAME...", Short: "Set configs, or bring them back to their defaults",
		Long: "KIND is topic, broker, broker-logger, group or client-metrics. Configs that are not named stay as they are. A broker's\n" +
			"configs count before those of --default, which are for all brokers.",
		Example: "  millrace config alter topic logs.web --set retention.ms=3600000 --unset segment.bytes\n" +
			"  millrace config alter broker --default --set log.retention.ms=86400000\n" +
			"  millrace config alter group audit --set consumer.session.timeout.ms=50000 --dry-run",
		Args: Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: g.completeConfigs,
	}, func(cmd *cobra.Command, args []string) error {
		wanted, err := resources(args, brokerDefaults)
		if err != nil {
			return err
		}
		if len(wanted) == 0 {
			return usagef("of which %s? Write its name, or --default for all brokers", args[0])
		}
		changes, err := f.changes(cmd.InOrStdin())
		if err != nil {
			return err
		}
		return g.withFranz(func(cl *kgo.Client) error {
			if err := brokersExist(cmd.Context(), cl, wanted); err != nil {
				return err
			}
			if err := alterConfigs(cmd.Context(), cl, wanted, changes, f.dryRun); err != nil {
				return err
			}
			var described []describedConfigs
			err := settle(cmd.Context(), func() (bool, error) {
				var err error
				described, err = describeConfigs(cmd.Context(), cl, wanted, false, false)
				return f.dryRun || showChanges(described, changes), err
			})
			if err != nil {
				return err
			}
			return printConfigs(g, cmd, described)
		})
	})
	f.register(c)
	c.Flags().BoolVar(&brokerDefaults, "default", false, "set it for all brokers together")
	return c
}

// alterConfigs changes the same configs of several resources. Each is changed wholly or
// not at all.
func alterConfigs(ctx context.Context, cl *kgo.Client, wanted []resource, changes []configChange, dryRun bool) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = dryRun
	for _, r := range wanted {
		req.Resources = append(req.Resources, kmsg.IncrementalAlterConfigsRequestResource{ResourceType: r.Type, ResourceName: r.Name, Configs: changes})
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("alter configs: %w", err)
	}
	var errs []error
	for _, r := range resp.Resources {
		if err := apiResult(r.ErrorCode, r.ErrorMessage, "%s", resource{r.ResourceType, r.ResourceName}); err != nil {
			errs = append(errs, err)
		}
	}
	return joinErrors(errs)
}

// showChanges reports whether what was described has what was set or added to lists, and no more what
// was brought back or taken out of them.
func showChanges(described []describedConfigs, changes []configChange) bool {
	for _, d := range described {
		for _, c := range changes {
			at := slices.IndexFunc(d.Configs, func(r configRow) bool { return r.Name == c.Name })
			if at < 0 {
				if c.Op == kmsg.IncrementalAlterConfigOpSet || c.Op == kmsg.IncrementalAlterConfigOpAppend {
					return false
				}
				continue
			}
			if !showsChange(d, d.Configs[at], c) {
				return false
			}
		}
	}
	return true
}

// showsChange is showChanges for one config that is set at some level.
func showsChange(d describedConfigs, r configRow, c configChange) bool {
	switch {
	case c.Op == kmsg.IncrementalAlterConfigOpDelete:
		return !ownLevel(d, r)
	case r.Sensitive:
		return true // its value is not told
	case r.Value == nil || c.Value == nil:
		return false
	case c.Op == kmsg.IncrementalAlterConfigOpSet:
		return *r.Value == *c.Value
	}
	list := strings.Split(*r.Value, ",")
	for item := range strings.SplitSeq(*c.Value, ",") {
		if slices.Contains(list, item) != (c.Op == kmsg.IncrementalAlterConfigOpAppend) {
			return false
		}
	}
	return true
}

// ownLevel reports whether a config is set at the resource itself: one of a broker also
// shows when it is set for all brokers.
func ownLevel(d describedConfigs, r configRow) bool {
	return d.Name == "" || r.Source != sourceName(kmsg.ConfigSourceDynamicDefaultBrokerConfig)
}
