package client

import "github.com/spf13/cobra"

// Commands returns the client commands. The flags of g are registered by the
// caller, on the command that they are hung under.
func Commands(g *Globals) []*cobra.Command {
	return []*cobra.Command{
		topicCommand(g),
		produceCommand(g),
		consumeCommand(g),
		groupCommand(g),
		txnCommand(g),
		offsetsCommand(g),
		aclCommand(g),
		userCommand(g),
		searchCommand(g),
		alertCommand(g),
		quotaCommand(g),
		configCommand(g),
		producersCommand(g),
		clusterCommand(g),
		dumpLogCommand(g),
		logCommand(g),
		versionCommand(g),
	}
}
