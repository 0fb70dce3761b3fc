package client

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/clusterview"
)

// completeTopics offers the topics of the cluster for the first max arguments
// (-1 means any number).
func (g *Globals) completeTopics(maxArgs int) cobra.CompletionFunc {
	return g.complete(maxArgs, (*clusterview.View).Names)
}

// completeGroups does the same for consumer groups.
func (g *Globals) completeGroups(maxArgs int) cobra.CompletionFunc {
	return g.complete(maxArgs, func(v *clusterview.View) ([]string, error) {
		states, err := v.GroupNames()
		return slices.Sorted(maps.Keys(states)), err
	})
}

func (g *Globals) complete(maxArgs int, names func(*clusterview.View) ([]string, error)) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		if maxArgs >= 0 && len(args) >= maxArgs {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []string
		err := g.withView(func(v *clusterview.View) error {
			var err error
			found, err = names(v)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return slices.DeleteFunc(found, func(name string) bool {
			return !strings.HasPrefix(name, begin) || slices.Contains(args, name)
		}), cobra.ShellCompDirectiveNoFileComp
	}
}

func fixedCompletions(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}
