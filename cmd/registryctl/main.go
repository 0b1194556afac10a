// Command registryctl shows and checks what a registry keeps: memimpl's file, or
// fdbimpl's keys in FoundationDB in a binary built with the tag fdb.
//
// All commands but import and force-release-breaking-grace only read. Exit codes: 0 done; 1
// verify found damage, or lookup found nothing; 2 the command line or an input is
// wrong; 3 the store or the output could not be read or written; 130 interrupted.
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
	exitFound       = 1
	exitUsage       = 2
	exitFailed      = 3
	exitInterrupted = 130
)

// errFound ends a command that has printed bad news.
var errFound = errors.New("found")

func main() {
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
		fmt.Fprintln(stderr, "registryctl: interrupted")
	}
	console.Tell(stderr, "registryctl", err, errFound, ctx.Err(), context.Cause(ctx))
	return code
}

func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFound):
		return exitFound
	case ctx.Err() != nil:
		return exitInterrupted
	case usage.Is(err):
		return exitUsage
	}
	return exitFailed
}

// tool is what all commands share.
type tool struct {
	file string // memimpl's
	json bool
	fdb  fdbFlags
}

func newRoot() *cobra.Command {
	t := new(tool)
	root := &cobra.Command{
		Use:   "registryctl",
		Short: "Show and check what a registry keeps",
		Long: `Registryctl shows and checks what a single-activation registry keeps: the file of
memimpl (--file), also while a process has it open, or the keys of fdbimpl in
FoundationDB. Everything but import and force-release-breaking-grace only reads,
in pages with a transaction each.

Exit codes: 0 done; 1 damage or nothing found; 2 bad usage or input; 3 the store
or the output could not be read or written; 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	fl := root.PersistentFlags()
	fl.StringVar(&t.file, "file", "", "the file of a durable memimpl")
	fl.BoolVar(&t.json, "json", false, "print JSON, one value a line")
	t.fdb.add(fl)
	root.AddCommand(t.lookup(), t.actors(), t.nodes(), t.watch(), t.stats(), t.verify(), t.export(), t.importing(), t.force())
	usage.Of(root)
	return root
}
