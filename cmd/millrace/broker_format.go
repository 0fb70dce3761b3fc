package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/cmd/millrace/client"
)

// iterationsMax is Kafka's bound for SCRAM.
const iterationsMax = 16384

type formatFlags struct {
	properties          propertiesFlags
	clusterID           string
	ignoreFormatted     bool
	scram, features     []string
	standalone, noVoter bool
	initialControllers  string
}

func newRandomUUID() *cobra.Command {
	return &cobra.Command{
		Use:   "random-uuid",
		Short: "Print a new cluster id",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), broker.RandomUUID())
			return err
		},
	}
}

func newFormat() *cobra.Command {
	var f formatFlags
	cmd := &cobra.Command{
		Use:     "format",
		Short:   "Prepare the log directory of a server.properties, as kafka-storage format does",
		Example: `  millrace broker format --cluster-id "$(millrace broker random-uuid)" -c server.properties`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runFormat(cmd, &f) },
	}
	f.properties.register(cmd)
	cmd.Flags().StringVarP(&f.clusterID, "cluster-id", "t", "", "`id` of the cluster, of 22 base64 characters")
	cmd.Flags().BoolVarP(&f.ignoreFormatted, "ignore-formatted", "g", false, "leave a directory alone that is formatted already")
	cmd.Flags().StringArrayVarP(&f.scram, "add-scram", "S", nil, "a user, as `SCRAM-SHA-256=[name=alice,password=secret]`; may be repeated")
	cmd.Flags().StringArrayVarP(&f.features, "feature", "f", nil, "`name=level` of a feature other than the latest; may be repeated")
	cmd.Flags().BoolVarP(&f.standalone, "standalone", "s", false, "the node is its own controller, as it is in any case")
	cmd.Flags().BoolVarP(&f.noVoter, "no-initial-controllers", "N", false, "for nodes that join a cluster; refused")
	cmd.Flags().StringVarP(&f.initialControllers, "initial-controllers", "I", "", "controllers, as `id@host:port:directory`; this node only")
	cmd.MarkFlagsMutuallyExclusive("standalone", "no-initial-controllers", "initial-controllers")
	return cmd
}

func runFormat(cmd *cobra.Command, f *formatFlags) error {
	if f.properties.file == "" || f.clusterID == "" {
		return &client.UsageError{Msg: "write millrace broker format --cluster-id ID -c server.properties"}
	}
	b, result, err := f.properties.load()
	if err != nil {
		return err
	}
	if err := f.checkControllers(b.NodeID); err != nil {
		return err
	}
	o := broker.FormatOptions{Dir: result.LogDir, ClusterID: f.clusterID, NodeID: b.NodeID, Features: map[string]int16{}}
	for _, s := range f.features {
		name, level, _ := strings.Cut(s, "=")
		n, err := strconv.ParseInt(level, 10, 16)
		if err != nil {
			return &client.UsageError{Msg: fmt.Sprintf("--feature %q is not of the form name=level", s)}
		}
		o.Features[name] = int16(n)
	}
	for _, s := range f.scram {
		u, err := parseScram(s)
		if err != nil {
			return &client.UsageError{Msg: "--add-scram: " + err.Error()}
		}
		o.Users = append(o.Users, u)
	}
	err = broker.Format(o)
	if errors.Is(err, broker.ErrFormatted) && f.ignoreFormatted {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "All of the log directories are already formatted.")
		return err
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Formatting metadata directory %s with metadata.version 4.1-IV1.\n", result.LogDir)
	return err
}

// checkControllers refuses controllers other than this node.
func (f *formatFlags) checkControllers(node int32) error {
	if f.noVoter {
		return &client.UsageError{Msg: "--no-initial-controllers: this version runs as the only node of its cluster, which is its own controller"}
	}
	if f.initialControllers == "" {
		return nil
	}
	id, _, ok := strings.Cut(f.initialControllers, "@")
	if n, err := strconv.ParseInt(id, 10, 32); !ok || err != nil || int32(n) != node || strings.Contains(f.initialControllers, ",") {
		return &client.UsageError{Msg: fmt.Sprintf("--initial-controllers %s: this version runs as the only node of its cluster, name node %d alone", f.initialControllers, node)}
	}
	return nil
}

// parseScram reads MECHANISM=[name=…,password=…,iterations=…,salt=…,saltedpassword=…]
// as Kafka's ScramParser does.
func parseScram(s string) (u broker.ScramUser, err error) {
	mechanism, rest, _ := strings.Cut(strings.TrimSpace(s), "=")
	if !sasl.IsScram(mechanism) || !strings.HasPrefix(rest, "[") || !strings.HasSuffix(rest, "]") {
		return u, fmt.Errorf("write SCRAM-SHA-256=[name=alice,password=secret]")
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest[1:len(rest)-1], ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !strings.Contains(" name password iterations salt saltedpassword ", " "+key+" ") {
			return u, fmt.Errorf("%q is not one of name, password, iterations, salt, saltedpassword", key)
		}
		parts[key] = strings.Trim(value, `"`)
	}
	if u.Name = parts["name"]; u.Name == "" {
		return u, errors.New("name is missing")
	}
	iterations := sasl.IterationsMin
	if v, ok := parts["iterations"]; ok {
		if iterations, err = strconv.Atoi(v); err != nil || iterations < sasl.IterationsMin || iterations > iterationsMax {
			return u, fmt.Errorf("iterations must be a number from %d to %d", sasl.IterationsMin, iterationsMax)
		}
	}
	salt, err := base64.StdEncoding.DecodeString(parts["salt"])
	if err != nil {
		return u, fmt.Errorf("salt is not base64: %w", err)
	}
	switch {
	case parts["password"] != "" && len(salt) > 0:
		u.Credential, err = sasl.NewCredentialWithSalt(mechanism, parts["password"], salt, iterations)
	case parts["password"] != "":
		u.Credential, err = sasl.NewCredential(mechanism, parts["password"], iterations)
	case parts["saltedpassword"] != "" && len(salt) > 0:
		var salted []byte
		if salted, err = base64.StdEncoding.DecodeString(parts["saltedpassword"]); err == nil {
			u.Credential, err = sasl.FromSaltedPassword(mechanism, salted, salt, iterations)
		}
	default:
		return u, errors.New("give a password, or a saltedpassword with its salt")
	}
	return u, err
}
