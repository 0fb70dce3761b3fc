package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/internal/clusterview"
)

func userCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "user", Short: "List, add and delete users who log in with SCRAM"},
		userList(g), userAdd(g), userDelete(g), userHash(g))
}

// userRow is one credential of user list.
type userRow struct {
	User       string `json:"user"`
	Mechanism  string `json:"mechanism"`
	Iterations int32  `json:"iterations"`
}

func userList(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "list [USER...]", Short: "List users with their mechanisms", Aliases: []string{"ls"},
	}, func(cmd *cobra.Command, args []string) error {
		return g.withView(func(v *clusterview.View) error {
			rows, err := users(v, args)
			if err != nil {
				return err
			}
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), rows)
			}
			t := newTable(cmd.OutOrStdout(), "USER", "MECHANISM", "ITERATIONS")
			for _, r := range rows {
				t.row(r.User, r.Mechanism, r.Iterations)
			}
			return t.flush()
		})
	})
}

func users(v *clusterview.View, names []string) ([]userRow, error) {
	found, err := v.Admin().DescribeUserScramCredentials(names)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	rows := []userRow{}
	for _, u := range found {
		if !errors.Is(u.ErrorCode, sarama.ErrNoError) {
			return nil, userError(u.User, u.ErrorCode, u.ErrorMessage)
		}
		for _, c := range u.CredentialInfos {
			rows = append(rows, userRow{u.User, c.Mechanism.String(), c.Iterations})
		}
	}
	slices.SortFunc(rows, func(a, b userRow) int {
		return strings.Compare(a.User+"\x00"+a.Mechanism, b.User+"\x00"+b.Mechanism)
	})
	return rows, nil
}

// credentialFlags say which credential of a user is meant.
type credentialFlags struct {
	mechanism    string
	iterations   int32
	passwordFile string
}

func (f *credentialFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.mechanism, "mechanism", "scram-sha-512", "scram-sha-256 or scram-sha-512")
	c.Flags().Int32Var(&f.iterations, "iterations", sasl.IterationsMin, "how often the password is hashed")
	c.Flags().StringVar(&f.passwordFile, "password-file", "", "`file` with the password, - for standard input; without it the password is asked for")
}

func scramMechanism(name string) (sarama.ScramMechanismType, error) {
	switch strings.ToUpper(name) {
	case sasl.ScramSHA256:
		return sarama.SCRAM_MECHANISM_SHA_256, nil
	case sasl.ScramSHA512:
		return sarama.SCRAM_MECHANISM_SHA_512, nil
	}
	return sarama.SCRAM_MECHANISM_UNKNOWN, usagef("--mechanism %q does not exist: write scram-sha-256 or scram-sha-512", name)
}

func (f *credentialFlags) check() error {
	if _, err := scramMechanism(f.mechanism); err != nil {
		return err
	}
	if f.iterations < sasl.IterationsMin || f.iterations > sasl.IterationsMax {
		return usagef("--iterations %d is not between %d and %d", f.iterations, sasl.IterationsMin, sasl.IterationsMax)
	}
	return nil
}

func userAdd(g *Globals) *cobra.Command {
	var f credentialFlags
	c := g.command(&cobra.Command{
		Use: "add USER", Short: "Add a user, or give one another password", Args: Arguments(cobra.ExactArgs(1)),
		Example: "  millrace user add app --password-file app.password",
	}, func(cmd *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		mechanism, err := scramMechanism(f.mechanism)
		if err != nil {
			return err
		}
		password, err := newPassword(f.passwordFile, cmd.InOrStdin(), cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		salt := make([]byte, 24)
		rand.Read(salt) // never fails
		return g.withView(func(v *clusterview.View) error {
			return eachName(g, cmd, args, "added", func(name string) error {
				return alterUser(v, name, []sarama.AlterUserScramCredentialsUpsert{
					{Name: name, Mechanism: mechanism, Iterations: f.iterations, Salt: salt, Password: []byte(password)},
				}, nil)
			})
		})
	})
	f.register(c)
	return c
}

func userDelete(g *Globals) *cobra.Command {
	var only string
	c := g.command(&cobra.Command{
		Use: "delete USER...", Short: "Delete users, for all mechanisms or one", Args: Arguments(cobra.MinimumNArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		if only != "" {
			if _, err := scramMechanism(only); err != nil {
				return err
			}
		}
		return g.withView(func(v *clusterview.View) error {
			return eachName(g, cmd, args, "deleted", func(name string) error { return deleteUser(v, name, only) })
		})
	})
	c.Flags().StringVar(&only, "mechanism", "", "delete the user for this `mechanism` only")
	return c
}

// deleteUser removes a user's credentials one after the other: a request may name
// a user once.
func deleteUser(v *clusterview.View, name, only string) error {
	rows, err := users(v, []string{name})
	if err != nil {
		return err
	}
	if only != "" {
		rows = []userRow{{User: name, Mechanism: only}}
	}
	for _, r := range rows {
		mechanism, err := scramMechanism(r.Mechanism)
		if err != nil {
			return err
		}
		if err := alterUser(v, name, nil, []sarama.AlterUserScramCredentialsDelete{{Name: name, Mechanism: mechanism}}); err != nil {
			return err
		}
	}
	return nil
}

func alterUser(v *clusterview.View, name string, upsert []sarama.AlterUserScramCredentialsUpsert, remove []sarama.AlterUserScramCredentialsDelete) error {
	var results []*sarama.AlterUserScramCredentialsResult
	var err error
	if upsert != nil {
		results, err = v.Admin().UpsertUserScramCredentials(upsert)
	} else {
		results, err = v.Admin().DeleteUserScramCredentials(remove)
	}
	if err != nil {
		return fmt.Errorf("user %q: %w", name, err)
	}
	for _, r := range results {
		if !errors.Is(r.ErrorCode, sarama.ErrNoError) {
			return userError(name, r.ErrorCode, r.ErrorMessage)
		}
	}
	return nil
}

func userError(name string, code sarama.KError, message *string) error {
	switch code {
	case errResourceNotFound:
		return fmt.Errorf("user %q does not exist, or not for this mechanism (%s): \"millrace user list\" shows those that do", name, kerr.ResourceNotFound.Message)
	default:
		return apiResult(int16(code), message, "user %q", name)
	}
}

// errResourceNotFound is RESOURCE_NOT_FOUND, which sarama has no name for.
const errResourceNotFound = sarama.KError(91)

func userHash(g *Globals) *cobra.Command {
	var f credentialFlags
	c := g.command(&cobra.Command{
		Use: "hash", Short: "Print the hash of a password for broker.users[].password_hash", Args: Arguments(cobra.NoArgs),
	}, func(cmd *cobra.Command, _ []string) error {
		if err := f.check(); err != nil {
			return err
		}
		password, err := newPassword(f.passwordFile, cmd.InOrStdin(), cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		credential, err := sasl.NewCredential(strings.ToUpper(f.mechanism), password, int(f.iterations))
		if err != nil {
			return err
		}
		if g.json() {
			return writeJSON(cmd.OutOrStdout(), map[string]string{"password_hash": credential.Hash()})
		}
		fmt.Fprintln(cmd.OutOrStdout(), credential.Hash())
		return nil
	})
	f.register(c)
	return c
}
