package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry/conformance"
)

// No right client is convicted because a machine is busy: what convicts does so with
// every patience, or nobody knows.
func TestLivePlaysAreRepeated(t *testing.T) {
	slow := Result{Conviction: &Conviction{Rule: conformance.ClientServes}}
	for name, tc := range map[string]struct {
		plays     []Result
		convicted bool
		unknown   string
	}{
		"passes":            {[]Result{{}}, false, ""},
		"in time after all": {[]Result{slow, {}}, false, "the client or the machine is slow: with a reaction of 1.2s it passed, with 300ms it would have been client.serves"},
		"never in time":     {[]Result{slow, slow}, true, ""},
		"undecided":         {[]Result{slow, {Unknown: "busy"}}, false, "busy"},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			r := patiently(300*time.Millisecond, func(reaction time.Duration) Result {
				assert.Equal(t, 300*time.Millisecond<<(2*n), reaction)
				n++
				return tc.plays[n-1]
			})
			assert.Len(t, tc.plays, n)
			assert.Equal(t, tc.convicted, r.Conviction != nil)
			assert.Equal(t, tc.unknown, r.Unknown)
		})
	}
}

// When its context ends, Judge does not wait for what is under way.
func TestLiveEndsWithItsContext(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	never := make(chan struct{})
	defer close(never)
	l := DefaultLive()
	l.Parallel = 2
	assert.Empty(t, l.Judge(ctx, func(Node) (Client, error) {
		end()
		<-never
		return nil, errors.New("it is over")
	}))
}
