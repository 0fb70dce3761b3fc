package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/internal/clusterview"
)

func aclCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "acl", Short: "List, add and remove access control entries"},
		aclList(g), aclAdd(g), aclRemove(g))
}

// aclRow is one entry, with Kafka's names.
type aclRow struct {
	Resource   string `json:"resource"`
	Name       string `json:"name"`
	Pattern    string `json:"pattern"`
	Principal  string `json:"principal"`
	Host       string `json:"host"`
	Operation  string `json:"operation"`
	Permission string `json:"permission"`
}

func rowOf(r sarama.Resource, a sarama.Acl) aclRow {
	return aclRow{
		acl.ResourceType(r.ResourceType).String(), r.ResourceName, acl.PatternType(r.ResourcePatternType).String(),
		a.Principal, a.Host, acl.Operation(a.Operation).String(), acl.Permission(a.PermissionType).String(),
	}
}

// aclFlags say which entries are meant.
type aclFlags struct {
	topics, groups, transactionalIDs []string
	cluster, prefixed, deny          bool
	principal, host                  string
	operations                       []string
}

// aclRoles add what a producer or consumer needs, as kafka-acls does.
type aclRoles struct{ producer, consumer bool }

func (r *aclRoles) register(c *cobra.Command) {
	c.Flags().BoolVar(&r.producer, "producer", false, "what a producer needs: write, describe and create on --topic, write and describe on --transactional-id")
	c.Flags().BoolVar(&r.consumer, "consumer", false, "what a consumer needs: read and describe on --topic, read on --group")
	c.MarkFlagsMutuallyExclusive("producer", "operation")
	c.MarkFlagsMutuallyExclusive("consumer", "operation")
}

// operations are those of a resource's type; nil without a role.
func (r *aclRoles) operations(kind sarama.AclResourceType) []acl.Operation {
	var out []acl.Operation
	if r.producer {
		switch acl.ResourceType(kind) {
		case acl.ResourceTopic:
			out = append(out, acl.Write, acl.Describe, acl.Create)
		case acl.ResourceTransactionalID:
			out = append(out, acl.Write, acl.Describe)
		default:
		}
	}
	if r.consumer {
		switch acl.ResourceType(kind) {
		case acl.ResourceTopic:
			out = append(out, acl.Read, acl.Describe)
		case acl.ResourceGroup:
			out = append(out, acl.Read)
		default:
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r *aclRoles) any() bool { return r.producer || r.consumer }

func (f *aclFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.topics, "topic", nil, "topic `name`, * for all; may be repeated")
	c.Flags().StringArrayVar(&f.groups, "group", nil, "consumer group `name`, * for all; may be repeated")
	c.Flags().StringArrayVar(&f.transactionalIDs, "transactional-id", nil, "transactional `id`, * for all; may be repeated")
	c.Flags().BoolVar(&f.cluster, "cluster", false, "the cluster itself")
	c.Flags().BoolVar(&f.prefixed, "prefixed", false, "the names are prefixes")
	c.Flags().BoolVar(&f.deny, "deny", false, "deny instead of allow")
	c.Flags().StringVar(&f.principal, "principal", "", "`who`, as User:app; User:* is everyone")
	c.Flags().StringVar(&f.host, "host", "", "`address` that the client comes from; * is any")
	c.Flags().StringSliceVar(&f.operations, "operation", nil, "`operations`, as read,write; all is every one")
}

// resources are the patterns that the flags name.
func (f *aclFlags) resources() []sarama.Resource {
	pattern := sarama.AclPatternLiteral
	if f.prefixed {
		pattern = sarama.AclPatternPrefixed
	}
	var out []sarama.Resource
	add := func(kind acl.ResourceType, names ...string) {
		for _, name := range names {
			out = append(out, sarama.Resource{ResourceType: sarama.AclResourceType(kind), ResourceName: name, ResourcePatternType: pattern})
		}
	}
	add(acl.ResourceTopic, f.topics...)
	add(acl.ResourceGroup, f.groups...)
	add(acl.ResourceTransactionalID, f.transactionalIDs...)
	if f.cluster {
		out = append(out, sarama.Resource{
			ResourceType: sarama.AclResourceType(acl.ResourceCluster), ResourceName: acl.ClusterName, ResourcePatternType: sarama.AclPatternLiteral,
		})
	}
	return out
}

func (f *aclFlags) parsed() ([]acl.Operation, error) {
	var out []acl.Operation
	for _, name := range f.operations {
		var op acl.Operation
		if err := op.UnmarshalText([]byte(name)); err != nil {
			return nil, usagef("--operation %s", err)
		}
		out = append(out, op)
	}
	return out, nil
}

func (f *aclFlags) permission() acl.Permission {
	if f.deny {
		return acl.Deny
	}
	return acl.Allow
}

// filters pick what the flags name; flags that are not given pick all.
func (f *aclFlags) filters() ([]sarama.AclFilter, error) {
	operations, err := f.parsed()
	if err != nil {
		return nil, err
	}
	if len(operations) == 0 {
		operations = []acl.Operation{acl.OperationAny}
	}
	base := sarama.AclFilter{
		ResourceType: sarama.AclResourceAny, ResourcePatternTypeFilter: sarama.AclPatternAny, PermissionType: sarama.AclPermissionAny,
	}
	if f.principal != "" {
		base.Principal = &f.principal
	}
	if f.host != "" {
		base.Host = &f.host
	}
	if f.deny {
		base.PermissionType = sarama.AclPermissionType(acl.Deny)
	}
	resources := f.resources()
	var out []sarama.AclFilter
	for _, op := range operations {
		one := base
		one.Operation = sarama.AclOperation(op)
		if len(resources) == 0 {
			out = append(out, one)
		}
		for i := range resources {
			of := one
			of.ResourceType, of.ResourceName, of.ResourcePatternTypeFilter = resources[i].ResourceType, &resources[i].ResourceName, resources[i].ResourcePatternType
			out = append(out, of)
		}
	}
	return out, nil
}

func aclList(g *Globals) *cobra.Command {
	var f aclFlags
	var match bool
	c := g.command(&cobra.Command{
		Use: "list", Short: "List access control entries", Aliases: []string{"ls"}, Args: Arguments(cobra.NoArgs),
		Example: "  millrace acl list --topic logs.web --match",
	}, func(cmd *cobra.Command, _ []string) error {
		filters, err := f.filters()
		if err != nil {
			return err
		}
		return g.withView(func(v *clusterview.View) error {
			rows := []aclRow{}
			for _, filter := range filters {
				if match && filter.ResourceName != nil {
					filter.ResourcePatternTypeFilter = sarama.AclPatternMatch
				}
				found, err := v.Admin().ListAcls(filter)
				if err != nil {
					return fmt.Errorf("list entries: %w", err)
				}
				for _, r := range found {
					for _, a := range r.Acls {
						rows = append(rows, rowOf(r.Resource, *a))
					}
				}
			}
			return writeACLs(g, cmd, rows)
		})
	})
	f.register(c)
	c.Flags().BoolVar(&match, "match", false, "all entries that apply to the names, also prefixes and *")
	return c
}

func writeACLs(g *Globals, cmd *cobra.Command, rows []aclRow) error {
	slices.SortFunc(rows, func(a, b aclRow) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	rows = slices.Compact(rows)
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "RESOURCE", "NAME", "PATTERN", "PRINCIPAL", "HOST", "OPERATION", "PERMISSION")
	for _, r := range rows {
		t.row(r.Resource, r.Name, r.Pattern, r.Principal, r.Host, r.Operation, r.Permission)
	}
	return t.flush()
}

func aclAdd(g *Globals) *cobra.Command {
	var f aclFlags
	var roles aclRoles
	c := g.command(&cobra.Command{
		Use: "add", Short: "Allow or deny operations", Args: Arguments(cobra.NoArgs),
		Example: "  millrace acl add --principal User:app --topic logs. --prefixed --operation read\n" +
			"  millrace acl add --principal User:app --group app --operation read",
	}, func(cmd *cobra.Command, _ []string) error {
		operations, err := f.parsed()
		resources := f.resources()
		switch {
		case err != nil:
			return err
		case f.principal == "":
			return usagef("write --principal User:NAME")
		case acl.CheckPrincipal(f.principal) != nil:
			return usagef("--principal %s", acl.CheckPrincipal(f.principal))
		case len(resources) == 0:
			return usagef("say what: --topic, --group, --transactional-id or --cluster")
		case len(operations) == 0 && !roles.any():
			return usagef("say what is done: --operation read,write, or --producer or --consumer")
		}
		if f.host == "" {
			f.host = acl.Wildcard
		}
		var creations []*sarama.AclCreation
		var rows []aclRow
		for _, r := range resources {
			for _, op := range append(roles.operations(r.ResourceType), operations...) {
				a := sarama.Acl{Principal: f.principal, Host: f.host, Operation: sarama.AclOperation(op), PermissionType: sarama.AclPermissionType(f.permission())}
				creations = append(creations, &sarama.AclCreation{Resource: r, Acl: a})
				rows = append(rows, rowOf(r, a))
			}
		}
		if len(creations) == 0 {
			return usagef("a producer has --topic and --transactional-id, a consumer --topic and --group")
		}
		return g.withView(func(v *clusterview.View) error {
			if err := createACLs(v, creations); err != nil {
				return err
			}
			return writeACLs(g, cmd, rows)
		})
	})
	f.register(c)
	roles.register(c)
	return c
}

// createACLs asks the controller itself: sarama's admin client does not look at the
// results of single entries.
func createACLs(v *clusterview.View, creations []*sarama.AclCreation) error {
	controller, err := v.Client().Controller()
	if err != nil {
		return fmt.Errorf("add entries: %w", err)
	}
	resp, err := controller.CreateAcls(&sarama.CreateAclsRequest{Version: 1, AclCreations: creations})
	if err != nil {
		return fmt.Errorf("add entries: %w", err)
	}
	for i, r := range resp.AclCreationResponses {
		if errors.Is(r.Err, sarama.ErrNoError) {
			continue
		}
		return apiResult(int16(r.Err), r.ErrMsg, "add entry for %s %q", acl.ResourceType(creations[i].ResourceType), creations[i].ResourceName)
	}
	return nil
}

func aclRemove(g *Globals) *cobra.Command {
	var f aclFlags
	var all bool
	c := g.command(&cobra.Command{
		Use: "remove", Short: "Remove access control entries", Aliases: []string{"rm", "delete"}, Args: Arguments(cobra.NoArgs),
		Example: "  millrace acl remove --principal User:app --topic logs. --prefixed",
	}, func(cmd *cobra.Command, _ []string) error {
		filters, err := f.filters()
		if err != nil {
			return err
		}
		if nothing := f.principal == "" && f.host == "" && len(f.resources()) == 0 && len(f.operations) == 0 && !f.deny; nothing && !all {
			return usagef("say which entries, or --all")
		}
		return g.withView(func(v *clusterview.View) error {
			var rows []aclRow
			for _, filter := range filters {
				gone, err := v.Admin().DeleteACL(filter, false)
				if err != nil {
					return fmt.Errorf("remove entries: %w", err)
				}
				for _, m := range gone {
					rows = append(rows, rowOf(m.Resource, m.Acl))
				}
			}
			if len(rows) == 0 {
				return errors.New("no entry is like that: \"millrace acl list\" shows all")
			}
			return writeACLs(g, cmd, rows)
		})
	})
	f.register(c)
	c.Flags().BoolVar(&all, "all", false, "every entry there is")
	return c
}
