package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/console"
)

// Each error has a line of its own, and only one.
func TestTell(t *testing.T) {
	known, other := errors.New("known"), errors.New("other")
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{other, "p: other\n"},
		{errors.New("two\nlines"), "p: two; lines\n"},
		{errors.Join(other, errors.Join(fmt.Errorf("x: %w", known), other)), "p: other\np: other\n"},
		{fmt.Errorf("%w and %w", other, io.EOF), "p: other and EOF\n"},
		{fmt.Errorf("with: %w", errors.Join(other, io.EOF)), "p: with: other; EOF\n"},
	} {
		var out bytes.Buffer
		console.Tell(&out, "p", c.err, known, nil)
		assert.Equal(t, c.want, out.String())
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// What could not be written is told once, beside what else went wrong.
func TestLostOutput(t *testing.T) {
	out := &console.Output{Writer: full{}}
	require.NoError(t, out.Lost(nil))
	_, err := fmt.Fprint(out, "x")
	const lost = "standard output: no space left on device"
	require.EqualError(t, out.Lost(nil), lost)
	require.EqualError(t, out.Lost(err), lost)
	require.EqualError(t, out.Lost(io.EOF), "EOF\n"+lost)
}

// A pipe that nobody opens, and one that nobody writes to, are over with the context.
func TestOpenEnds(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	ctx, end := context.WithCancel(t.Context())
	silent, _ := io.Pipe()
	in, err := console.Open(ctx, "-", silent)
	require.NoError(t, err)
	end()
	text, err := io.ReadAll(in)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, text)
	_, err = console.Open(ctx, fifo, nil)
	require.ErrorIs(t, err, context.Canceled)
	writer, err := os.OpenFile(fifo, os.O_RDWR, 0) // lets the one that waits go
	require.NoError(t, err)
	require.NoError(t, writer.Close())

	_, err = console.Open(t.Context(), filepath.Join(t.TempDir(), "none"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	in, err = console.Open(t.Context(), os.Args[0], nil)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, in)
	require.NoError(t, err)
	assert.Positive(t, n)
}
