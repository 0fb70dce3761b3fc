package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker/storage"
)

// errDamaged ends a check that has found something, so that scripts see it.
var errDamaged = errors.New("there is damage: millrace log repair DIR says what can be done")

func logCommand(g *Globals) *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Check and repair partitions on disk, and show the log directories of brokers"}
	c.AddCommand(logCheckCommand(g), logRepairCommand(g), logDirsCommand(g))
	return c
}

func logCheckCommand(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "check DIR|FILE...", Short: "Read every batch, index and small file of partitions and say what is damaged",
		Long: "Reads whole partitions and changes nothing; it may run beside the broker. DIR is a partition's directory or a directory of such. " +
			"The command fails when it has found damage.",
		Example: "  millrace log check millrace-data/broker/logs\n  millrace log check millrace-data/broker/logs/orders-3 -o json",
		Args:    Arguments(cobra.MinimumNArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		dirs, err := partitionDirs(args)
		if err != nil {
			return err
		}
		damaged := false
		checks := make([]*storage.LogCheck, 0, len(dirs))
		show := progress(cmd.ErrOrStderr())
		for i, dir := range dirs {
			show("checking", i, len(dirs))
			check, err := storage.CheckLog(nil, dir)
			if err != nil {
				show("checking", len(dirs), len(dirs))
				return err
			}
			damaged = damaged || len(check.Problems) > 0
			checks = append(checks, check)
		}
		show("checking", len(dirs), len(dirs))
		if err := g.writeChecks(cmd.OutOrStdout(), checks); err != nil || !damaged {
			return err
		}
		return errDamaged
	})
}

func (g *Globals) writeChecks(w io.Writer, checks []*storage.LogCheck) error {
	if g.json() {
		return writeJSON(w, checks)
	}
	t := newTable(w, "PARTITION", "SEGMENTS", "BATCHES", "BYTES", "START", "END", "RECOVERY-POINT", "PROBLEMS")
	for _, c := range checks {
		t.row(filepath.Base(c.Dir), c.Segments, c.Batches, c.Bytes, c.Start, c.End, dash(c.RecoveryPoint), len(c.Problems))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, c := range checks {
		for _, p := range c.Problems {
			if _, err := fmt.Fprintln(w, describe(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe is a problem in one line.
func describe(p storage.Problem) string {
	line := p.File
	if p.Position >= 0 {
		line += fmt.Sprintf(", byte %d, offset %d", p.Position, p.Offset)
	}
	line += ": " + p.Reason
	switch {
	case p.IntactAt >= 0:
		line += fmt.Sprintf("; an intact batch follows at byte %d", p.IntactAt)
	case p.Kind == storage.ProblemBatch:
		line += "; nothing intact follows in the file"
	case p.Kind == storage.ProblemDerived:
		line += "; it can be made again"
	}
	return printable(line)
}

func logRepairCommand(g *Globals) *cobra.Command {
	var write bool
	c := g.command(&cobra.Command{
		Use: "repair DIR", Short: "Cut a damaged partition so that it opens again; without --write only says what would be done",
		Long: "Cuts the log at its first damage and takes away what lies behind it. Everything that goes is kept beside it, in files that end in .cut. " +
			"Stop the broker before using --write.",
		Example: "  millrace log repair millrace-data/broker/logs/orders-3\n  millrace log repair millrace-data/broker/logs/orders-3 --write",
		Args:    Arguments(cobra.ExactArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		dirs, err := partitionDirs(args)
		if err != nil {
			return err
		}
		if len(dirs) != 1 {
			return usagef("%s holds %d partitions: name the one that is to be repaired", args[0], len(dirs))
		}
		r, err := storage.RepairLog(nil, dirs[0], write)
		if err != nil {
			return fmt.Errorf("repair %s: %w", dirs[0], err)
		}
		if g.json() {
			return writeJSON(cmd.OutOrStdout(), struct {
				*storage.Repair
				Written bool `json:"written"`
			}{r, write})
		}
		return writeRepair(cmd.OutOrStdout(), r, write)
	})
	c.Flags().BoolVar(&write, "write", false, "change the files")
	return c
}

func writeRepair(w io.Writer, r *storage.Repair, written bool) error {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "%s %s", s.What, s.File)
		if s.Position >= 0 {
			fmt.Fprintf(&b, " at byte %d (%d bytes)", s.Position, s.Bytes)
		}
		if s.Copy != "" {
			fmt.Fprintf(&b, ", kept in %s", s.Copy)
		}
		fmt.Fprintf(&b, ": %s\n", s.Reason)
	}
	switch {
	case len(r.Steps) == 0:
		b.WriteString("There is nothing to repair.\n")
	case r.LostFrom >= 0:
		fmt.Fprintf(&b, "The log ends at offset %d then: records from there on are lost to clients.\n", r.LostFrom)
	default:
		b.WriteString("No record is lost.\n")
	}
	if len(r.Steps) > 0 && !written {
		b.WriteString("Nothing was changed: use --write.\n")
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, printable(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

// partitionDirs finds the partitions that are meant: a file's directory, a
// partition's directory, or all that are in a directory.
func partitionDirs(args []string) ([]string, error) {
	var dirs []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("%w: partitions are in <data_dir>/broker/logs/<topic>-<partition>", err)
		}
		if !info.IsDir() {
			arg = filepath.Dir(arg)
		}
		segments, err := filepath.Glob(filepath.Join(escapeGlob(arg), "*.log"))
		if err != nil {
			return nil, err
		}
		if len(segments) > 0 {
			dirs = append(dirs, arg)
			continue
		}
		inside, err := filepath.Glob(filepath.Join(escapeGlob(arg), "*", "00000000000*.log"))
		if err != nil {
			return nil, err
		}
		if len(inside) == 0 {
			return nil, fmt.Errorf("%s holds no partition: they are in <data_dir>/broker/logs/<topic>-<partition>", arg)
		}
		for _, name := range inside {
			dir := filepath.Dir(name)
			if len(dirs) == 0 || dirs[len(dirs)-1] != dir {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
