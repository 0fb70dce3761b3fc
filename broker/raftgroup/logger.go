package raftgroup

import (
	"context"
	"fmt"
	"log/slog"
)

// raftLogger writes what Raft says as lines for debugging. A broken invariant panics.
type raftLogger struct{ log *slog.Logger }

func (l raftLogger) debug(text func() string) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("raft", "text", text())
	}
}

func (l raftLogger) print(v ...any) { l.debug(func() string { return fmt.Sprint(v...) }) }

func (l raftLogger) printf(format string, v ...any) {
	l.debug(func() string { return fmt.Sprintf(format, v...) })
}

// Debug implements [raft.Logger].
func (l raftLogger) Debug(v ...any) { l.print(v...) }

// Debugf implements [raft.Logger].
func (l raftLogger) Debugf(format string, v ...any) { l.printf(format, v...) }

// Info implements [raft.Logger].
func (l raftLogger) Info(v ...any) { l.print(v...) }

// Infof implements [raft.Logger].
func (l raftLogger) Infof(format string, v ...any) { l.printf(format, v...) }

// Warning implements [raft.Logger].
func (l raftLogger) Warning(v ...any) { l.print(v...) }

// Warningf implements [raft.Logger].
func (l raftLogger) Warningf(format string, v ...any) { l.printf(format, v...) }

// Error implements [raft.Logger].
func (l raftLogger) Error(v ...any) { l.print(v...) }

// Errorf implements [raft.Logger].
func (l raftLogger) Errorf(format string, v ...any) { l.printf(format, v...) }

// Fatal implements [raft.Logger].
func (l raftLogger) Fatal(v ...any) { panic(fmt.Sprint(v...)) }

// Fatalf implements [raft.Logger].
func (l raftLogger) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }

// Panic implements [raft.Logger].
func (l raftLogger) Panic(v ...any) { panic(fmt.Sprint(v...)) }

// Panicf implements [raft.Logger].
func (l raftLogger) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
