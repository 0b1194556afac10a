package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/metrics"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
)

// follow checks a history while it grows.
func follow(cmd *cobra.Command, path string) error {
	in, out := cmd.InOrStdin(), cmd.OutOrStdout()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return usagef("%s: %w", path, err)
		}
		defer f.Close()
		in = &growing{cmd.Context(), f}
	}
	r, err := history.NewReader(in)
	if err != nil {
		return usagef("%s: %w", path, err)
	}
	if r.Dialect() != (dialect.Dialect{}) {
		return usagef("%s: a history in a dialect is checked as a whole, without --follow", path)
	}
	clock := registry.SystemClock()
	start := clock.Now()
	s := linearizability.NewStream(r.Config())
	for open := true; open; {
		o, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return usagef("%s: %w", path, err)
		}
		open = s.Add(&o)
	}
	s.End()
	story, res := s.Result()
	if res.Verdict == linearizability.Illegal {
		c := explain.As(story, res.Violations[0])
		c.Reproduce = "conform check --follow " + path
		fmt.Fprintln(out, c)
	}
	fmt.Fprintf(out, "%s: %d operations in %d partitions, %s\n", res.Verdict, res.Stats.Ops, res.Stats.Partitions, speed(res.Stats.Ops, clock.Now().Sub(start)))
	switch res.Verdict {
	case linearizability.Illegal:
		return errConvicted
	case linearizability.OK:
		return nil
	}
	fmt.Fprintln(out, "not decided:", res.Reason)
	return errUnknown
}

// speed tells how long a check took, how many operations that is in a second, and
// the memory of the process, which the Go runtime does not give back.
func speed(ops int, took time.Duration) string {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	return fmt.Sprintf("%v: %.0f operations/s, %d MB at most", took.Round(time.Millisecond), float64(ops)/max(took.Seconds(), 1e-9), sample[0].Value.Uint64()/1e6)
}

// growing reads a file that is being written. At its end it waits for more, and
// ends when the context does.
type growing struct {
	ctx  context.Context
	file io.Reader
}

func (g *growing) Read(p []byte) (int, error) {
	for {
		n, err := g.file.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		select {
		case <-g.ctx.Done():
			return 0, io.EOF
		case <-time.After(growPause):
		}
	}
}

const growPause = 100 * time.Millisecond
