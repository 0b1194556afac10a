package keeper

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
)

// dice is a deterministic source of jitter.
type dice struct{ *rand.Rand }

func (d dice) int64N(n int64) int64 { return d.Int64N(n) }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0))} }

func testPolicy(t require.TestingT) Policy {
	p, err := Policy{}.withDefaults(testCfg)
	require.NoError(t, err)
	return p
}

// The rules of holding, against every order of clock steps, answers and
// errors: a node never believes in a lease past the expiry that the registry
// recorded, nor longer than TTL after it sent the request that was granted;
// and what is lost stays lost.
func TestHoldingNeverOutlivesTheRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, rng := testPolicy(t), newDice(rapid.Uint64().Draw(t, "seed"))
		now := moment{wall: registry.Instant(rapid.Int64Range(0, 1e12).Draw(t, "start"))}
		pass := func(most time.Duration) {
			d := most * time.Duration(rapid.IntRange(0, 16).Draw(t, "sixteenths")) / 16
			now.elapsed += d
			now.wall = now.wall.Add(d + time.Duration(rapid.Int64Range(-1e9, 1e9).Draw(t, "step")))
		}
		sent := now
		pass(testCfg.TTL / 2)
		recorded := now.wall.Add(testCfg.TTL)
		l := registry.Lease{Token: 1, Version: 1, Expiry: recorded}
		pass(testCfg.TTL / 2)
		h, err := hold(testCfg, p, l, sent, now, rng)
		if err != nil {
			require.ErrorIs(t, err, ErrDeadline)
			return
		}
		latest := sent // of the requests that were granted
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			v, wake := h.next(now)
			if h.lost == nil && now.before(h.deadline) {
				require.Less(t, now.wall, recorded, "believes in an expired lease")
				require.Less(t, now.elapsed, latest.elapsed+testCfg.TTL)
			}
			switch v {
			case stepDown:
				require.False(t, now.before(h.deadline))
				h.lose(p, ErrDeadline)
			case renew:
				require.Nil(t, h.lost)
				h.send(now)
			case rest:
				require.Greater(t, wake, now.elapsed)
			}
			pass(testCfg.TTL / 4)
			if !h.inFlight {
				continue
			}
			lost := h.lost
			switch rapid.IntRange(0, 3).Draw(t, "answer") {
			case 0: // granted
				recorded = max(recorded, now.wall.Add(testCfg.TTL))
				l.Version++
				l.Expiry = recorded
				inTime := h.lost == nil && now.before(h.deadline)
				h.answer(testCfg, p, l, nil, now, rng)
				if inTime {
					latest = h.sent
				} else {
					require.Error(t, h.lost, "an answer after the deadline is too late")
				}
			case 1:
				h.answer(testCfg, p, registry.Lease{}, registry.ErrUnavailable, now, rng)
			case 2:
				h.answer(testCfg, p, registry.Lease{}, registry.ErrFenced, now, rng)
				require.Error(t, h.lost)
			case 3: // still under way
			}
			if lost != nil {
				require.Same(t, lost, h.lost, "the first cause stays")
			}
		}
	})
}

// Both parts of a deadline stand for one instant: the expiry that the registry
// recorded, or TTL after the request, less the margin. A renewal that did not extend
// the record does not extend the belief by the other clock either.
func TestBothPartsOfADeadlineAreOneInstant(t *testing.T) {
	p := testPolicy(t)
	sent := moment{wall: 1e18, elapsed: time.Hour}
	for _, left := range []time.Duration{testCfg.TTL, testCfg.TTL + time.Hour, 10 * time.Second, p.SafetyMargin, 0} {
		d := p.deadlineOf(testCfg, registry.Lease{Expiry: sent.wall.Add(left)}, sent)
		want := min(left, testCfg.TTL) - p.SafetyMargin
		assert.Equal(t, sent.wall.Add(want), d.wall)
		assert.Equal(t, sent.elapsed+want, d.elapsed)
	}

	l := registry.Lease{Expiry: sent.wall.Add(testCfg.TTL)}
	h, err := hold(testCfg, p, l, sent, sent, newDice(1))
	require.NoError(t, err)
	before := h.deadline
	later := moment{sent.wall.Add(10 * time.Second), sent.elapsed + 10*time.Second}
	h.send(later)
	h.answer(testCfg, p, l, nil, later, newDice(1))
	assert.Equal(t, before, h.deadline)
}

func TestRetryDelayGrowsAndSpreads(t *testing.T) {
	p, rng := testPolicy(t), newDice(1)
	for failures := 1; failures < 100; failures++ {
		want := min(p.RetryAfter<<min(failures-1, 16), p.RenewEvery/2)
		d := p.pace().delay(failures, rng)
		assert.GreaterOrEqual(t, d, want/2-1)
		assert.LessOrEqual(t, d, want)
	}
}

// Every error of Renew is either the end of the tenure or retried.
func TestFatal(t *testing.T) {
	for err, want := range map[error]bool{
		&registry.Refusal{Reason: registry.ErrFenced}:  true,
		&registry.Refusal{Reason: registry.ErrNotHeld}: true,
		&registry.Refusal{Reason: registry.ErrLapsed}:  true,
		registry.ErrClosed:                              true,
		&registry.InvalidError{}:                        true,
		registry.ErrUnavailable:                         false,
		&registry.AmbiguousError{Cause: errors.New("")}: false,
		errors.New("something else"):                    false,
	} {
		assert.Equal(t, want, fatal(err), "%v", err)
	}
}
