package client_test

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/millrace/client"
	"github.com/millrace/millrace/test/peers"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"millrace": millrace})
}

// millrace is the command with the client commands only.
func millrace() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	root := &cobra.Command{Use: "millrace", SilenceErrors: true, SilenceUsage: true}
	g := &client.Globals{}
	g.Register(root.PersistentFlags())
	root.AddCommand(client.Commands(g)...)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &client.UsageError{Msg: err.Error()} })
	err := root.ExecuteContext(ctx)
	cancel()
	if err != nil {
		client.PrintError(os.Stderr, err)
	}
	os.Exit(client.ExitCode(err))
}

// run runs the scripts of a folder. Each gets its own names for topics and
// groups through $T.
func run(t *testing.T, dir string, env ...string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, env...)
			name := e.WorkDir[strings.LastIndex(e.WorkDir, "-")+1:]
			e.Setenv("T", name)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fails": fails,
		},
	})
}

// fails CODE PROGRAM ARGS... runs a program that must end with that exit code
// and exactly one line on standard error.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	if err == nil {
		ts.Fatalf("ended with code 0, want %s", args[0])
	}
	if want := "exit status " + args[0]; err.Error() != want {
		ts.Fatalf("ended with %q, want %q", err, want)
	}
	stderr := ts.ReadFile("stderr")
	if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
		ts.Fatalf("standard error is not one line: %q", stderr)
	}
}

func TestScriptsAlone(t *testing.T) {
	run(t, "testdata/alone", "CLOSED="+peers.FreeAddr(t))
}

func TestScriptsWithApacheKafka(t *testing.T) {
	kafka := peers.Kafka(t)
	run(t, "testdata/kafka", "BROKERS="+kafka.Bootstrap)
}
