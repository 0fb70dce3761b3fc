package alerting

import (
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/millrace/millrace/test/process"
)

// TestMain makes this test binary a process of alerting for [process.StartChild].
func TestMain(m *testing.M) {
	os.Exit(process.ChildMain(m, func(ctx context.Context, cfg Config) error {
		a, err := New(cfg, Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Stdout: os.Stdout})
		if err != nil {
			return err
		}
		return a.Run(ctx)
	}))
}
