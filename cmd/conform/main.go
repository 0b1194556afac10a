// Command conform judges single-activation actor registries from the command
// line: the shipped ones, the deliberately broken ones, and saved histories.
//
// Exit codes: 0 everything is as it should be; 1 a registry or a history is
// convicted, or a broken registry is not; 2 the command line or an input file
// is wrong; 3 undecided: nothing is convicted, and something is unknown; 130
// interrupted: what was found until then is printed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/internal/console"
	"github.com/kelpie-registry/registry/internal/usage"
)

// The exit codes.
const (
	exitOK          = 0
	exitConvicted   = 1
	exitUsage       = 2
	exitUnknown     = 3
	exitInterrupted = 130 // as a shell has it for a process that SIGINT ended
)

// The outcomes of a command that ran to its end and has bad news. They are
// printed by the command itself.
var (
	errConvicted = errors.New("convicted")
	errUnknown   = errors.New("undecided")
)

func main() {
	program = calledAs(os.Args[0], buildTags())
	os.Exit(run(console.Interrupts(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root, out := newRoot(), &console.Output{Writer: stdout}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	err := out.Lost(root.ExecuteContext(ctx))
	code := exitCode(ctx, err)
	if code == exitInterrupted {
		fmt.Fprintln(stderr, "conform: interrupted")
	}
	console.Tell(stderr, "conform", err, errConvicted, errUnknown, ctx.Err(), context.Cause(ctx))
	return code
}

func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errConvicted):
		return exitConvicted
	case errors.Is(err, errUnknown):
		return exitUnknown
	case ctx.Err() != nil:
		return exitInterrupted
	case usage.Is(err):
		return exitUsage
	}
	return exitUnknown // something could not be done, so nothing is known
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "conform",
		Short: "Judge single-activation actor registries",
		Long: `Conform judges whether a single-activation actor registry keeps the contract:
at most one node at a time may run an actor.

Exit codes: 0 all is as it should be; 1 convicted; 2 bad usage or input;
3 undecided (unknown is not a pass); 130 interrupted.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("conform {{.Version}}\n")
	root.AddCommand(newRun(), newMutants(), newCheck(), newList(), newSpec(), newProve(), newServe(), newReplay(), newClient())
	usage.Of(root)
	return root
}
