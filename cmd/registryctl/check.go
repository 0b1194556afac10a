package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/internal/audit"
)

// progress writes a line a second about a long scan.
type progress struct {
	w    io.Writer
	what string
	next time.Time
	n    int
	told bool
}

func newProgress(w io.Writer, what string) *progress {
	return &progress{w: w, what: what, next: time.Now().Add(time.Second)}
}

func (p *progress) at(n int) {
	p.n = n
	if n%256 == 0 && time.Now().After(p.next) {
		p.next = time.Now().Add(time.Second)
		p.told = true
		fmt.Fprintf(p.w, "%d %s\n", n, p.what)
	}
}

// end tells the last number, when others were told.
func (p *progress) end() {
	if p.told {
		fmt.Fprintf(p.w, "%d %s, all\n", p.n, p.what)
	}
}

func (t *tool) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Look for damaged and foreign data; changes nothing",
		Long: `Verify compares records with their index rows, holders, tokens, versions and
epochs, and looks for values and keys that the registry did not write. What it
compares is of one version of the store, so that a registry in use is no reason
for a finding. Exit code 1 if it finds anything.`,
		Args: cobra.NoArgs,
		RunE: t.with(func(cmd *cobra.Command, s store, _ []string) error {
			p := newProgress(cmd.ErrOrStderr(), "records, rows and nodes")
			damage := map[audit.Kind]int{}
			var failed error
			err := s.Verify(cmd.Context(), func(f audit.Finding) {
				damage[f.Kind]++
				if t.json {
					failed = printJSON(cmd.OutOrStdout(), f)
				} else {
					fmt.Fprintln(cmd.OutOrStdout(), f)
				}
			}, p.at)
			p.end()
			switch {
			case err != nil:
				return err
			case failed != nil:
				return failed
			case len(damage) > 0:
				fmt.Fprintf(cmd.ErrOrStderr(), "damage in %d records, rows and nodes: %v\n", p.n, damage)
				return errFound
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "no damage in %d records, rows and nodes\n", p.n)
			return nil
		}),
	}
}
