package client

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func configCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "config", Short: "Describe and alter the configs of topics, brokers and groups"},
		configList(g), configDescribe(g), configAlter(g))
}

// configKinds are what has configs, by the names of the command line.
func configKinds() []string {
	return []string{"topic", "broker", "broker-logger", "group", "client-metrics"}
}

func configType(kind string) (kmsg.ConfigResourceType, error) {
	types := []kmsg.ConfigResourceType{
		kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger,
		kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceTypeClientMetrics,
	}
	if i := slices.Index(configKinds(), strings.TrimSuffix(kind, "s")); i >= 0 {
		return types[i], nil
	}
	if kind == "client-metrics" {
		return kmsg.ConfigResourceTypeClientMetrics, nil
	}
	return 0, usagef("there are no configs of a %q: write %s", kind, strings.Join(configKinds(), ", "))
}

// resource is one thing that has configs. A broker without a name stands for the
// defaults of all brokers.
type resource struct {
	Type kmsg.ConfigResourceType
	Name string
}

func (r resource) String() string {
	if r.Type == kmsg.ConfigResourceTypeBroker && r.Name == "" {
		return "default of all brokers"
	}
	return fmt.Sprintf("%s %q", kindName(r.Type), r.Name)
}

// kindName is the inverse of configType.
func kindName(t kmsg.ConfigResourceType) string {
	for _, kind := range configKinds() {
		if of, err := configType(kind); err == nil && of == t {
			return kind
		}
	}
	return strings.ToLower(t.String())
}

// resources are what the arguments KIND NAME... mean.
func resources(args []string, brokerDefaults bool) ([]resource, error) {
	kind, err := configType(args[0])
	switch {
	case err != nil:
		return nil, err
	case brokerDefaults && kind != kmsg.ConfigResourceTypeBroker:
		return nil, usagef("--default is for brokers")
	case brokerDefaults && len(args) > 1:
		return nil, usagef("write broker ids or --default")
	case brokerDefaults:
		return []resource{{kind, ""}}, nil
	}
	out := make([]resource, 0, len(args)-1)
	for _, name := range args[1:] {
		if name == "" {
			return nil, usagef("a name is empty")
		}
		out = append(out, resource{kind, name})
	}
	return out, nil
}

// configRow is one config of one resource, with Kafka's name of its source.
type configRow struct {
	Name      string          `json:"name"`
	Value     *string         `json:"value"`
	Source    string          `json:"source"`
	ReadOnly  bool            `json:"read_only"`
	Sensitive bool            `json:"sensitive"`
	Type      string          `json:"type,omitempty"`
	Synonyms  []configSynonym `json:"synonyms"`
	Doc       string          `json:"documentation,omitempty"`
}

// configSynonym is a config that counts when those before it are not set.
type configSynonym struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

type describedConfigs struct {
	Kind    string      `json:"kind"`
	Name    string      `json:"name"`
	Configs []configRow `json:"configs"`
}

func (r configRow) shown() string {
	switch {
	case r.Sensitive:
		return "(hidden)"
	case r.Value == nil:
		return "-"
	default:
		return *r.Value
	}
}

func configDescribe(g *Globals) *cobra.Command {
	var all, brokerDefaults, doc bool
	c := g.command(&cobra.Command{
		Use: "describe KIND [NAME...]", Short: "Show configs: those that were set, or with --all every one with its source",
		Long: "KIND is topic, broker, broker-logger, group or client-metrics. Without a name all of the kind are shown.\n" +
			"Read-only configs come from the configuration file and change with a restart.",
		Example: "  millrace config describe topic logs.web\n  millrace config describe broker 1 --all\n  millrace config describe broker --default",
		Args:    Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: g.completeConfigs,
	}, func(cmd *cobra.Command, args []string) error {
		wanted, err := resources(args, brokerDefaults)
		if err != nil {
			return err
		}
		return g.withFranz(func(cl *kgo.Client) error {
			if len(wanted) == 0 {
				if wanted, err = listResources(cmd.Context(), cl, args[0]); err != nil {
					return err
				}
			}
			if err := brokersExist(cmd.Context(), cl, wanted); err != nil {
				return err
			}
			described, err := describeConfigs(cmd.Context(), cl, wanted, all, doc)
			if err != nil {
				return err
			}
			return printConfigs(g, cmd, described)
		})
	})
	c.Flags().BoolVar(&all, "all", false, "every config, also those that nobody has set")
	c.Flags().BoolVar(&brokerDefaults, "default", false, "what was set for all brokers together")
	c.Flags().BoolVar(&doc, "documentation", false, "what each config is for, with -o json")
	return c
}

// sourceName is a source as Kafka's tools write it.
func sourceName(s kmsg.ConfigSource) string {
	switch s {
	case kmsg.ConfigSourceGroupConfig, kmsg.ConfigSourceClientMetricsConfig:
		return "DYNAMIC_" + s.String()
	default:
		return s.String()
	}
}

// isSet reports whether somebody has set a config while the cluster runs.
func isSet(s kmsg.ConfigSource) bool {
	return s != kmsg.ConfigSourceDefaultConfig && s != kmsg.ConfigSourceStaticBrokerConfig && s != kmsg.ConfigSourceUnknown
}

// ownSource reports whether a config was set for a resource of the type itself, not for
// what gives it its default.
func ownSource(t kmsg.ConfigResourceType, s kmsg.ConfigSource) bool {
	if t == kmsg.ConfigResourceTypeTopic {
		return s == kmsg.ConfigSourceDynamicTopicConfig
	}
	return isSet(s)
}

func describeConfigs(ctx context.Context, cl *kgo.Client, wanted []resource, all, doc bool) ([]describedConfigs, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, doc
	for _, r := range wanted {
		req.Resources = append(req.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: r.Type, ResourceName: r.Name})
	}
	described := []describedConfigs{}
	if len(wanted) == 0 {
		return described, nil
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("describe configs: %w", err)
	}
	for _, r := range resp.Resources {
		of := resource{r.ResourceType, r.ResourceName}
		if err := apiResult(r.ErrorCode, r.ErrorMessage, "%s", of); err != nil {
			return nil, err
		}
		d := describedConfigs{Kind: kindName(r.ResourceType), Name: r.ResourceName, Configs: []configRow{}}
		for i := range r.Configs {
			if all || ownSource(r.ResourceType, r.Configs[i].Source) {
				d.Configs = append(d.Configs, configOf(&r.Configs[i]))
			}
		}
		slices.SortFunc(d.Configs, func(a, b configRow) int { return strings.Compare(a.Name, b.Name) })
		described = append(described, d)
	}
	slices.SortStableFunc(described, func(a, b describedConfigs) int { return strings.Compare(a.Name, b.Name) })
	return described, nil
}

func configOf(c *kmsg.DescribeConfigsResponseResourceConfig) configRow {
	row := configRow{
		Name: c.Name, Value: c.Value, Source: sourceName(c.Source), ReadOnly: c.ReadOnly, Sensitive: c.IsSensitive, Synonyms: []configSynonym{},
	}
	if c.ConfigType != 0 {
		row.Type = c.ConfigType.String()
	}
	if c.Documentation != nil {
		row.Doc = *c.Documentation
	}
	for _, s := range c.ConfigSynonyms {
		row.Synonyms = append(row.Synonyms, configSynonym{s.Name, s.Value, sourceName(s.Source)})
	}
	return row
}

func printConfigs(g *Globals, cmd *cobra.Command, described []describedConfigs) error {
	out := cmd.OutOrStdout()
	if g.json() {
		return writeJSON(out, described)
	}
	for i, d := range described {
		if i > 0 {
			fmt.Fprintln(out)
		}
		name := d.Name
		if name == "" {
			name = "(default of all)"
		}
		fmt.Fprintf(out, "%s %s: %d configs\n", d.Kind, printable(name), len(d.Configs))
		if len(d.Configs) == 0 {
			continue
		}
		t := newTable(out, "CONFIG", "VALUE", "SOURCE", "READ-ONLY")
		for _, c := range d.Configs {
			readOnly := "-"
			if c.ReadOnly {
				readOnly = "yes"
			}
			t.row(c.Name, c.shown(), c.Source, readOnly)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}
