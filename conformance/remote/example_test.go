package remote_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/remote"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

// ExampleStart judges a registry in another language in a Go test.
func ExampleStart() {
	_ = func(t *testing.T) {
		p, err := remote.Start(exec.Command("python3", "registry.py"), os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		conformance.Run(t, p.Backend())
	}
}

// ExampleServe is the main function of a Go program that is judged behind the protocol,
// by `conform run --exec`.
func ExampleServe() {
	_ = func() error {
		return remote.Serve(context.Background(), os.Stdin, os.Stdout, memtest.Volatile{})
	}
}
