// Command tlc checks a specification folder's manifest with the TLC model
// checker and fails on any difference.
//
//	go run ./ci/tlc [-table] [-run regexp] [-dir spec/tla] [-workers 2]
//
// It exits with 1 when a verdict differs from the manifest or the manifest is
// not sound, and with 3 when this machine cannot run TLC and nothing was checked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"

	"github.com/kelpie-registry/registry/internal/tlc"
)

const (
	exitDiffers = 1
	exitUsage   = 2
	exitNoTLC   = 3
)

func main() {
	dir := flag.String("dir", "spec/tla", "folder with the modules and the manifest")
	run := flag.String("run", "", "check only the entries whose id matches this `regexp`")
	workers := flag.Int("workers", 2, "configurations checked at the same time")
	markdown := flag.Bool("table", false, "print the tables of spec/tla/README.md, as Markdown")
	trace := flag.Bool("trace", false, "print each counterexample")
	flag.Parse()
	pattern, err := regexp.Compile(*run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	results, err := tlc.CheckManifest(ctx, os.DirFS(*dir), tlc.Options{
		Workers:  *workers,
		Select:   func(c tlc.Check) bool { return pattern.MatchString(c.ID) },
		Progress: progress,
	})
	report(results, *markdown, *trace)
	switch {
	case errors.Is(err, tlc.ErrNoTLC):
		fmt.Fprintln(os.Stderr, "not checked:", err)
		os.Exit(exitNoTLC)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitDiffers)
	}
}

// progress goes to the error output, so that the table can be redirected.
func progress(p tlc.Progress) {
	mark := "ok"
	if len(p.Last.Problems) > 0 {
		mark = "DIFFERS"
	}
	fmt.Fprintf(os.Stderr, "[%d/%d] %s: %s\n", p.Done, p.Total, p.Last.Check.ID, mark)
}

func report(results tlc.Results, markdown, trace bool) {
	if len(results) == 0 {
		return
	}
	if t := results.Table(); markdown {
		fmt.Printf("%s\n\n%s\n", t.RenderMarkdown(), results.Conjuncts().RenderMarkdown())
	} else {
		fmt.Println(t.Render())
	}
	for _, r := range results {
		for _, problem := range r.Problems {
			fmt.Printf("%s: %s\n", r.Check.ID, problem)
		}
		if trace || len(r.Problems) > 0 {
			printTrace(r.Output)
		}
	}
}

func printTrace(o tlc.Output) {
	for _, s := range o.Trace {
		fmt.Printf("%d: %s\n%s\n\n", s.Number, s.Action, s.Text)
	}
	if o.Stutters {
		fmt.Println("and stays there for ever")
	}
	if o.LoopsTo > 0 {
		fmt.Printf("and returns to state %d\n", o.LoopsTo)
	}
}
