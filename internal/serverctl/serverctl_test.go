package serverctl

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder writes down what it is told. It is told in another goroutine.
type recorder struct {
	mu    sync.Mutex
	told  []string
	fails error
}

func (r *recorder) tell(what string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, what)
	return r.fails
}

func (r *recorder) failing(err error) (told []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = err
	return r.told
}

func (r *recorder) Pause() error  { return r.tell("pause") }
func (r *recorder) Resume() error { return r.tell("resume") }
func (r *recorder) Kill() error   { return r.tell("kill") }
func (r *recorder) Start() error  { return r.tell("start") }

func TestAProgramDoesWhatItIsTold(t *testing.T) {
	r := new(recorder)
	p, stop, err := Handmade(t.TempDir(), r)
	require.NoError(t, err)
	for _, do := range []func() error{p.Pause, p.Resume, p.Kill, p.Start} {
		require.NoError(t, do())
	}
	assert.Equal(t, []string{"pause", "resume", "kill", "start"}, r.failing(nil))
	require.ErrorContains(t, p.Process(2).Kill(), "cannot kill 2", "the number of a process is handed on")
	r.failing(errors.New("no such process"))
	require.ErrorContains(t, p.Pause(), "no such process")
	require.NoError(t, stop())
}

func TestNoProgram(t *testing.T) {
	t.Setenv(Variable, "")
	_, ok := FromEnv()
	assert.False(t, ok)
	t.Setenv(Variable, "/nowhere/control")
	p, ok := FromEnv()
	assert.True(t, ok)
	require.ErrorContains(t, p.Pause(), "/nowhere/control pause")
}
