package main

import (
	"cmp"
	"fmt"
	"os/exec"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/process"
	"github.com/kelpie-registry/registry/internal/usage"
)

func newClient() *cobra.Command {
	l := client.DefaultLive()
	var command, cases string
	cmd := &cobra.Command{
		Use:   "client --exec COMMAND",
		Short: "Judge a client that keeps leases, in any language",
		Long: `Client judges a client that keeps leases and runs in processes of its own: the
suite is the registry, starts the command several times, cuts links, stops,
continues and kills processes, and judges what they say that they serve. The
protocol is in conformance/client/process/PROTOCOL.md. Clients in Go are judged
in virtual time, and much more closely, by conformance/client.`,
		Example: `  conform client --exec 'python3 examples/pythonclient/client.py'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if command == "" {
				return usage.Errorf("there is no --exec")
			}
			if err := l.Config.Validate(); err != nil {
				return err
			}
			wanted, err := regexp.Compile(cases)
			if err != nil {
				return usage.Errorf("--case: %w", err)
			}
			l.Only = func(c client.Case) bool { return wanted.MatchString(c.ID()) }
			if len(l.Cases()) == 0 {
				return fmt.Errorf("nothing is selected: %w", usage.UnknownName("case", cases, liveCases()))
			}
			child := func() *exec.Cmd { return exec.CommandContext(cmd.Context(), "sh", "-c", command) }
			if err := process.Greets(child(), cmd.ErrOrStderr()); err != nil {
				return cmp.Or(cmd.Context().Err(), fmt.Errorf("--exec: %w", err))
			}
			return outcome(cmd, tellClients(cmd, l.Judge(cmd.Context(), process.New(child, cmd.ErrOrStderr()))), cmd.Context().Err())
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&command, "exec", "", "the client that this shell command runs")
	fl.StringVar(&cases, "case", "", "only cases whose section/name matches this regular expression")
	fl.DurationVar(&l.Config.TTL, "ttl", l.Config.TTL, "length of a lease; a play lasts several")
	fl.DurationVar(&l.Reaction, "reaction", l.Reaction, "time that a client may take to notice and to say so")
	fl.IntVar(&l.Parallel, "parallel", l.Parallel, "plays at the same time")
	completeFlag(cmd, "case", liveCases)
	return cmd
}

// liveCases lists the cases of clients that are played in real time.
func liveCases() []string {
	var ids []string
	for _, c := range client.DefaultLive().Cases() {
		ids = append(ids, c.ID())
	}
	return ids
}

// tellClients prints the outcomes, convictions last.
func tellClients(cmd *cobra.Command, results []client.Result) error {
	t := newTable("case", "verdict")
	convicted, unknown := 0, 0
	for _, r := range results {
		verdict := "pass"
		switch {
		case r.Conviction != nil:
			convicted++
			verdict = fmt.Sprintf("convicted of %s: %s", r.Conviction.Rule, r.Conviction.Play)
		case r.Unknown != "":
			unknown++
			verdict = "unknown: " + cmp.Or(r.Unknown, "undecided")
		}
		t.AppendRow([]any{r.Case.ID(), verdict})
	}
	out := cmd.OutOrStdout()
	fmt.Fprintln(out, t.Render())
	for _, r := range results {
		if r.Conviction != nil {
			fmt.Fprintf(out, "\n%s\n", r.Conviction)
		}
	}
	fmt.Fprintf(out, "%d plays, %d convicted, %d unknown\n", len(results), convicted, unknown)
	switch {
	case convicted > 0:
		return errConvicted
	case unknown > 0 || len(results) == 0:
		return errUnknown
	}
	return nil
}
