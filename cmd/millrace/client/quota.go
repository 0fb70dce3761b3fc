package client

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func quotaCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "quota", Short: "List, set and remove quotas of users, client ids and addresses"},
		quotaList(g), quotaSet(g), quotaRemove(g))
}

// Kinds of entities that have quotas, by their names in the protocol, in the order in
// which they are shown.
const (
	entityUser   = "user"
	entityClient = "client-id"
	entityIP     = "ip"
)

// userQuotas and ipQuotas are the keys that each kind of entity has.
func userQuotas() []string {
	return []string{"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"}
}

func ipQuotas() []string { return []string{"connection_creation_rate"} }

// quotaFlags say whose quotas are meant.
type quotaFlags struct {
	user, client, ip                      string
	userDefault, clientDefault, ipDefault bool
}

func (f *quotaFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.user, "user", "", "`name` of a user, without \"User:\"")
	c.Flags().BoolVar(&f.userDefault, "user-default", false, "users that have no quota of their own")
	c.Flags().StringVar(&f.client, "client-id", "", "`name` of a client; with --user, of that user's client")
	c.Flags().BoolVar(&f.clientDefault, "client-id-default", false, "clients that have no quota of their own")
	c.Flags().StringVar(&f.ip, "ip", "", "`address` that clients come from")
	c.Flags().BoolVar(&f.ipDefault, "ip-default", false, "addresses that have no quota of their own")
	c.MarkFlagsMutuallyExclusive("user", "user-default")
	c.MarkFlagsMutuallyExclusive("client-id", "client-id-default")
	c.MarkFlagsMutuallyExclusive("ip", "ip-default")
}

// entity is one part of whose quota it is; no name is the default.
type entity struct {
	kind string
	name *string
}

// entities are the parts that the flags name.
func (f *quotaFlags) entities() ([]entity, error) {
	var out []entity
	for _, e := range []struct {
		kind, name string
		isDefault  bool
	}{{entityUser, f.user, f.userDefault}, {entityClient, f.client, f.clientDefault}, {entityIP, f.ip, f.ipDefault}} {
		switch {
		case e.name != "":
			out = append(out, entity{e.kind, &e.name})
		case e.isDefault:
			out = append(out, entity{e.kind, nil})
		}
	}
	if (f.ip != "" || f.ipDefault) && len(out) > 1 {
		return nil, usagef("an address has quotas of its own: write --ip without --user and --client-id")
	}
	return out, nil
}

// quotaRow is one quota of one entity. A default has a null name.
type quotaRow struct {
	Entity map[string]*string `json:"entity"`
	Quota  string             `json:"quota"`
	Value  float64            `json:"value"`
}

// of says in one word whose quota a row is.
func (r quotaRow) of() string {
	var parts []string
	for _, kind := range []string{entityUser, entityClient, entityIP} {
		name, ok := r.Entity[kind]
		switch {
		case !ok:
		case name == nil:
			parts = append(parts, kind+" (default)")
		default:
			parts = append(parts, kind+" "+*name)
		}
	}
	return strings.Join(parts, ", ")
}

func quotaList(g *Globals) *cobra.Command {
	var f quotaFlags
	var only bool
	c := g.command(&cobra.Command{
		Use: "list", Short: "List quotas", Aliases: []string{"ls", "describe"}, Args: Arguments(cobra.NoArgs),
		Long:    "Lists the quotas that are set. With flags those of the users, clients or addresses that they name, and\nthose that are narrower: --user app lists the quotas of app's clients too, unless --exact is given.",
		Example: "  millrace quota list\n  millrace quota list --user app",
	}, func(cmd *cobra.Command, _ []string) error {
		entities, err := f.entities()
		if err != nil {
			return err
		}
		if only && len(entities) == 0 {
			return usagef("--exact needs --user, --client-id or --ip")
		}
		return g.withFranz(func(cl *kgo.Client) error {
			rows, err := describeQuotas(cmd.Context(), cl, entities, only)
			if err != nil {
				return err
			}
			return printQuotas(g, cmd, rows)
		})
	})
	f.register(c)
	c.Flags().BoolVar(&only, "exact", false, "only of what the flags name, not of what is narrower")
	return c
}

func describeQuotas(ctx context.Context, cl *kgo.Client, entities []entity, only bool) ([]quotaRow, error) {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = only
	for _, e := range entities {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType, c.Match = e.kind, e.name
		if e.name == nil {
			c.MatchType = kmsg.QuotasMatchTypeDefault
		}
		req.Components = append(req.Components, c)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("list quotas: %w", err)
	}
	if err := apiResult(resp.ErrorCode, resp.ErrorMessage, "list quotas"); err != nil {
		return nil, err
	}
	rows := []quotaRow{}
	for _, entry := range resp.Entries {
		of := map[string]*string{}
		for _, e := range entry.Entity {
			of[e.Type] = e.Name
		}
		for _, v := range entry.Values {
			rows = append(rows, quotaRow{of, v.Key, v.Value})
		}
	}
	slices.SortFunc(rows, func(a, b quotaRow) int {
		return strings.Compare(a.of()+"\x00"+a.Quota, b.of()+"\x00"+b.Quota)
	})
	return rows, nil
}

func printQuotas(g *Globals, cmd *cobra.Command, rows []quotaRow) error {
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "OF", "QUOTA", "VALUE")
	for _, r := range rows {
		t.row(r.of(), r.Quota, strconv.FormatFloat(r.Value, 'f', -1, 64))
	}
	return t.flush()
}

func quotaSet(g *Globals) *cobra.Command {
	var f quotaFlags
	var dryRun bool
	c := g.command(&cobra.Command{
		Use: "set QUOTA=VALUE...", Short: "Set quotas of a user, a client id, both together, or an address",
		Long: "Users and client ids have producer_byte_rate and consumer_byte_rate (bytes per second), request_percentage (time of one\n" +
			"processor) and controller_mutation_rate (partitions per second); addresses have connection_creation_rate (per second).",
		Example: "  millrace quota set --user app producer_byte_rate=1048576\n" +
			"  millrace quota set --user app --client-id-default consumer_byte_rate=1e6\n  millrace quota set --ip-default connection_creation_rate=50",
		Args: Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: fixedQuotas("="),
	}, func(cmd *cobra.Command, args []string) error {
		ops, err := quotaOps(args)
		if err != nil {
			return err
		}
		return alterQuotas(g, cmd, &f, ops, dryRun)
	})
	f.register(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "have the broker check it, and change nothing")
	return c
}

func quotaOps(args []string) ([]kmsg.AlterClientQuotasRequestEntryOp, error) {
	ops := make([]kmsg.AlterClientQuotasRequestEntryOp, 0, len(args))
	for _, arg := range args {
		key, text, ok := strings.Cut(arg, "=")
		value, err := strconv.ParseFloat(text, 64)
		if !ok || key == "" || err != nil || !(value > 0) {
			return nil, usagef("%q is not of the form QUOTA=VALUE with a number above 0, as producer_byte_rate=1048576", arg)
		}
		if slices.ContainsFunc(ops, func(o kmsg.AlterClientQuotasRequestEntryOp) bool { return o.Key == key }) {
			return nil, usagef("%q is named twice", key)
		}
		ops = append(ops, kmsg.AlterClientQuotasRequestEntryOp{Key: key, Value: value})
	}
	return ops, nil
}

func quotaRemove(g *Globals) *cobra.Command {
	var f quotaFlags
	var all, dryRun bool
	c := g.command(&cobra.Command{
		Use: "remove QUOTA...", Short: "Remove quotas", Aliases: []string{"rm", "delete"},
		Example: "  millrace quota remove --user app producer_byte_rate\n  millrace quota remove --user app --all",
		Args:    Arguments(cobra.ArbitraryArgs), ValidArgsFunction: fixedQuotas(""),
	}, func(cmd *cobra.Command, args []string) error {
		if all == (len(args) > 0) {
			return usagef("write which quotas, or --all")
		}
		keys := args
		if all {
			keys = userQuotas()
			if f.ip != "" || f.ipDefault {
				keys = ipQuotas()
			}
		}
		ops := make([]kmsg.AlterClientQuotasRequestEntryOp, 0, len(keys))
		for _, key := range keys {
			ops = append(ops, kmsg.AlterClientQuotasRequestEntryOp{Key: key, Remove: true})
		}
		return alterQuotas(g, cmd, &f, ops, dryRun)
	})
	f.register(c)
	c.Flags().BoolVar(&all, "all", false, "every quota of what the flags name")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "have the broker check it, and change nothing")
	return c
}

// alterQuotas changes the quotas of what the flags name, and prints those that it has then.
func alterQuotas(g *Globals, cmd *cobra.Command, f *quotaFlags, ops []kmsg.AlterClientQuotasRequestEntryOp, dryRun bool) error {
	entities, err := f.entities()
	if err != nil {
		return err
	}
	if len(entities) == 0 {
		return usagef("whose? Write --user, --client-id or --ip, or one of them with -default")
	}
	entry := kmsg.AlterClientQuotasRequestEntry{Ops: ops}
	for _, e := range entities {
		entry.Entity = append(entry.Entity, kmsg.AlterClientQuotasRequestEntryEntity{Type: e.kind, Name: e.name})
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries, req.ValidateOnly = []kmsg.AlterClientQuotasRequestEntry{entry}, dryRun
	return g.withFranz(func(cl *kgo.Client) error {
		resp, err := req.RequestWith(cmd.Context(), cl)
		if err != nil {
			return fmt.Errorf("alter quotas: %w", err)
		}
		for _, r := range resp.Entries {
			if err := apiResult(r.ErrorCode, r.ErrorMessage, "alter quotas"); err != nil {
				return err
			}
		}
		var rows []quotaRow
		err = settle(cmd.Context(), func() (bool, error) {
			var err error
			rows, err = describeQuotas(cmd.Context(), cl, entities, true)
			return dryRun || showQuotas(rows, ops), err
		})
		if err != nil {
			return err
		}
		return printQuotas(g, cmd, rows)
	})
}

// showQuotas reports whether rows have what was set, and no more what was removed.
func showQuotas(rows []quotaRow, ops []kmsg.AlterClientQuotasRequestEntryOp) bool {
	for _, op := range ops {
		at := slices.IndexFunc(rows, func(r quotaRow) bool { return r.Quota == op.Key })
		if op.Remove != (at < 0) || !op.Remove && rows[at].Value != op.Value {
			return false
		}
	}
	return true
}

func fixedQuotas(suffix string) cobra.CompletionFunc {
	names := append(userQuotas(), ipQuotas()...)
	for i := range names {
		names[i] += suffix
	}
	return cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)
}
