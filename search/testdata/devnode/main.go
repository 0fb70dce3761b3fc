package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/search"
)

func main() {
	cfg := configs.Default().Search
	cfg.Listen = os.Args[1]
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	n, err := search.New(cfg, search.Options{Dir: os.Args[2], Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if len(os.Args) > 3 {
		go http.ListenAndServe(os.Args[3], nil)
	}
	fmt.Println("listening", n.Addr())
	fmt.Println(n.Run(ctx))
}
