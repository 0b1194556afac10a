package conformance_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// speaker is a registry that makes use of all that its dialect allows: of the right
// ways to answer it takes one at random, and its numbers have gaps.
type speaker struct {
	declared dialect.Dialect
	speaks   dialect.Dialect                                  // differs from declared in a wrong one
	bounds   func(*registry.Config)                           // by which it decides; nil: the cluster's
	mistake  func(v reference.View, c *op.Call, r *op.Result) // in what it answers, of the record before; nil: none
	tame     bool                                             // takes the contract's own way
	whole    bool                                             // has the operations that it says it lacks
	clusters *atomic.Uint64                                   // made so far: no two make the same choices
}

func (s speaker) Name() string             { return "speaker of " + s.declared.String() }
func (s speaker) Dialect() dialect.Dialect { return s.declared }

func (s speaker) New(cfg registry.Config) (conformance.Cluster, error) {
	own := cfg
	if s.bounds != nil {
		s.bounds(&own)
	}
	store, err := reference.NewStore(own)
	if err != nil {
		return nil, err
	}
	return &speakerCluster{speaker: s, cfg: cfg, store: store.In(s.speaks), rng: rand.New(rand.NewPCG(1, s.clusters.Add(1)))}, nil
}

type speakerCluster struct {
	speaker
	cfg registry.Config

	yield func(point string) // nil: nothing is called

	mu    sync.Mutex // guards the rest
	store *reference.Store
	rng   *rand.Rand
	first registry.Clock // of the handles: the store's, where that is not declared
}

func (c *speakerCluster) Close() error { return nil }

func (c *speakerCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Match(c.cfg); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.first == nil {
		c.first = clock
	}
	if c.speaks.StoreClock && !c.declared.StoreClock {
		clock = c.first
	}
	c.mu.Unlock()
	own := cfg
	if c.bounds != nil {
		c.bounds(&own)
	}
	inner, err := c.store.Open(own, clock)
	if err != nil {
		return nil, err
	}
	closed := false
	return op.Handle(func(ctx context.Context, call op.Call) op.Result {
		if !c.whole && !c.speaks.Offers(call.Kind) {
			return op.Failed(errors.ErrUnsupported)
		}
		if err := call.Validate(); err != nil {
			return op.Failed(err)
		}
		if c.yield != nil {
			c.yield("asked")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		closed = closed || call.Kind == op.Close
		if closed || ctx.Err() != nil || call.Kind.Lists() {
			return op.Do(ctx, inner, &call)
		}
		return c.answer(&call, clock.Now())
	}, op.Powers{}), nil
}

// answer takes one of the ways. What an answer tells is settled by asking again with it.
func (c *speakerCluster) answer(call *op.Call, now registry.Instant) op.Result {
	before, view := c.store.Snapshot(), c.store.View(call)
	ways := c.store.Outcomes(call, now, nil)
	i := 0
	if !c.tame {
		i = c.rng.IntN(len(ways))
	}
	if r := ways[i].Answer.Record; c.speaks.Forgets && view.Record.Held() && r.Token > view.Record.Token && c.cfg.Phase(view.Record.Expiry, now) < registry.Reclaimable {
		i = 0 // no other clock has found the record reclaimable, so it is not forgotten yet
	}
	told := ways[i].Answer
	if told.Outcome == op.OK && call.Kind.Grants() && told.Record.Token > view.Record.Token && (c.speaks.SparseTokens || c.speaks.NoTokens) {
		told.Record.Token += registry.Token(c.rng.IntN(100))
	}
	if told.Record.Version > 0 && c.speaks.SparseVersions && call.Kind.Mutates() && told.Outcome == op.OK {
		told.Record.Version += registry.Version(c.rng.IntN(100))
	}
	c.store.Restore(before)
	way := c.store.Outcomes(call, now, &told)[i]
	c.store.Restore(way.After)
	r := way.Answer
	if c.speaks.BareRecords && !c.tame {
		bare(call, &r)
	}
	if c.mistake != nil {
		c.mistake(view, call, &r)
	}
	return r
}

// bare leaves out of an answer what a lock without versions does not know.
func bare(call *op.Call, r *op.Result) {
	var refusal *registry.Refusal
	if errors.As(r.Err, &refusal) {
		*r = op.Failed(refusal.Reason)
	}
	if r.Record.Version > 0 {
		r.Record.Version = 1
		if call.Kind == op.Lookup {
			r.Record.Expiry = 0
		}
	}
}

const held = 40 * time.Millisecond

// dialects are each difference by itself, and those of a lock together.
func dialects() (all []dialect.Dialect) {
	for _, f := range dialect.Differences() {
		all = append(all, f.Only)
	}
	return append(all,
		dialect.Dialect{HoldsLonger: held},
		dialect.Dialect{SparseTokens: true, SparseVersions: true},
		dialect.Dialect{NoTokens: true, BareRecords: true, NoClaimIDs: true, Forgets: true, HoldsLonger: held, NoMembership: true, NoTransfer: true, NoListing: true},
		dialect.Dialect{SparseTokens: true, BareRecords: true, NoClaimIDs: true, Forgets: true, StoreClock: true, NoMembership: true, NoTransfer: true, NoListing: true},
	)
}

// judgeIn judges a speaker by the sections that are about answers.
func judgeIn(t *testing.T, s speaker, opts ...conformance.Option) *conformance.Report {
	t.Helper()
	s.clusters = new(atomic.Uint64)
	r, err := conformance.Judge(t.Context(), s, append(opts, conformance.Level(conformance.Quick), conformance.Histories(10), conformance.Parallel(1),
		conformance.OnlySections("contract", "membership", "concurrent", "fencing", "random"))...)
	require.NoError(t, err)
	return r
}

// In each dialect a registry that takes every liberty passes, and no difference that it
// takes by itself is told as declared in vain; and so does one that takes none.
func TestEachDialectIsSpoken(t *testing.T) {
	for _, d := range dialects() {
		t.Run(d.String(), func(t *testing.T) {
			single := slices.ContainsFunc(dialect.Differences(), func(f dialect.Difference) bool { return f.Only == d })
			for _, tame := range []bool{false, true} {
				if tame && single {
					continue // TestAVainDeclarationIsTold has it
				}
				r := judgeIn(t, speaker{declared: d, speaks: d, tame: tame})
				for _, c := range r.Cases {
					if c.Conviction != nil {
						t.Errorf("%s, tame %v\n%s", c.ID(), tame, c.Conviction)
					}
					assert.NotEqual(t, conformance.Unknown, c.Verdict, "%s: %s", c.ID(), c.Reason)
				}
				assert.Greater(t, r.Count(conformance.Pass), 15, "cases were executed")
				for _, f := range dialect.Differences() {
					if d == f.Only && !tame {
						assert.NotContains(t, r.Dialect.Stricter, f.Name)
					}
				}
			}
		})
	}
}

// scheduled is a speaker that stops at a yield point.
type scheduled struct{ speaker }

func (s scheduled) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := s.speaker.New(cfg)
	if err != nil {
		return nil, err
	}
	return yielding{c.(*speakerCluster)}, nil
}

type yielding struct{ *speakerCluster }

func (c yielding) SetYield(yield func(point string)) { c.yield = yield }

// Where calls are stopped on their way, too, none is made that the dialect does not have.
func TestStoppedCallsKeepToTheDialect(t *testing.T) {
	d := dialect.Dialect{NoTokens: true, NoTransfer: true, NoListing: true}
	s := scheduled{speaker{declared: d, speaks: d, clusters: new(atomic.Uint64)}}
	r, err := conformance.Judge(t.Context(), s, conformance.Level(conformance.Quick), conformance.Histories(10), conformance.OnlyCases(
		regexp.MustCompile("handles/close-under-way|contexts/(one-call|joined)|schedules/(pairs-free|others|cancelled)")))
	require.NoError(t, err)
	assert.Equal(t, 6, r.Count(conformance.Pass))
	for _, c := range r.Cases {
		assert.Equal(t, conformance.Pass, c.Verdict, "%s: %s %v", c.ID(), c.Reason, c.Conviction)
	}
}

// mistakes are made in every dialect, and allowed in none.
var mistakes = []struct {
	name string
	make func(*speaker)
}{
	{"takes over at the expiry", func(s *speaker) {
		s.bounds = func(c *registry.Config) { c.Grace, c.MaxClockSkew = 0, 0 }
		s.speaks.HoldsLonger = 0
	}},
	{"a lookup finds the record as it was before the last renewal", func(s *speaker) {
		before := map[registry.ActorID]registry.NodeRef{}
		s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
			switch {
			case c.Kind.Grants() && r.Outcome == op.OK && before[c.Actor].IsZero():
				before[c.Actor] = r.Record.Holder
			case c.Kind == op.Lookup && r.Found && r.Record.Held():
				r.Record.Holder = before[c.Actor]
			}
		}
	}},
}

// own are the mistakes in the very thing that a dialect leaves open.
var own = map[string][]struct {
	name string
	make func(*speaker)
}{
	"sparse-tokens": {
		{"a grant has the token of the one before", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Claim && r.Outcome == op.OK && v.Record.Token > 0 && r.Record.Token > v.Record.Token {
					r.Record.Token = v.Record.Token
				}
			}
		}},
		{"a grant has a lower token", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Claim && r.Outcome == op.OK && v.Record.Token > 1 && r.Record.Token > v.Record.Token {
					r.Record.Token = v.Record.Token - 1
				}
			}
		}},
	},
	"sparse-versions": {
		{"a lookup tells a version that no answer has told", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Lookup && r.Found {
					r.Record.Version++
				}
			}
		}},
		{"a renewal leaves the version", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Renew && r.Outcome == op.OK {
					r.Record.Version = v.Record.Version
				}
			}
		}},
	},
	"no-tokens": {
		{"does not say that there are gaps in its versions either", func(s *speaker) { s.speaks.SparseVersions = true }},
		{"whoever releases is told that it has", func(s *speaker) { s.mistake = granting(op.Release, op.NotHeld, op.Fenced) }},
	},
	"bare-records": {
		{"does not say that it forgets", func(s *speaker) { s.speaks.Forgets = true }},
		{"a lookup tells another expiry than the grant", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Lookup && r.Found && r.Record.Held() {
					r.Record.Expiry = v.Record.Expiry + 1
				}
			}
		}},
	},
	"no-claim-ids": {
		{"does not say that it may hold longer", func(s *speaker) { s.speaks.HoldsLonger = dialect.Unbounded }},
		{"whoever claims is told the lease of the holder", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Claim && r.Reason == op.Held {
					*r = op.Result{Outcome: op.OK, Record: v.Record}
				}
			}
		}},
	},
	"no-membership": {
		{"a holder is known by its name, whatever its epoch", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Lookup && r.Record.Held() {
					r.Record.Holder.Epoch = 1
				}
			}
		}},
		{"whoever releases is told that it has", func(s *speaker) { s.mistake = granting(op.Release, op.NotHeld, op.Fenced) }},
	},
	"no-transfer": {
		{"a token that has ended is valid", func(s *speaker) { s.mistake = granting(op.Validate, op.Fenced) }},
		{"a released token is valid", func(s *speaker) { s.mistake = granting(op.Validate, op.NotHeld) }},
	},
	"no-listing": {
		{"a token that has ended is valid", func(s *speaker) { s.mistake = granting(op.Validate, op.Fenced) }},
		{"a released record names its last holder", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Lookup && r.Found && !r.Record.Held() {
					r.Record.Holder = registry.NodeRef{ID: "n1", Epoch: 1}
				}
			}
		}},
	},
	"forgets": {
		{"a live tenure is forgotten", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Lookup {
					*r = op.Result{Outcome: op.OK}
				}
			}
		}},
		{"a token is used again after it was forgotten", func(s *speaker) {
			s.mistake = func(v reference.View, c *op.Call, r *op.Result) {
				if c.Kind == op.Claim && r.Outcome == op.OK && !v.Record.Held() {
					r.Record.Token = 1
				}
			}
		}},
	},
	"holds-longer=40ms": {
		{"holds longer than it said", func(s *speaker) { s.speaks.HoldsLonger = 2 * held }},
		{"for ever", func(s *speaker) { s.speaks.HoldsLonger = dialect.Unbounded }},
	},
	"store-clock": {
		{"knows no margin at all", func(s *speaker) { s.bounds = func(c *registry.Config) { c.MaxClockSkew = 0 } }},
		{"its margin is half of ε", func(s *speaker) { s.bounds = func(c *registry.Config) { c.MaxClockSkew /= 4 } }},
	},
}

// granting says yes where the answer is one of some refusals.
func granting(k op.Kind, refusals ...op.Reason) func(reference.View, *op.Call, *op.Result) {
	return func(_ reference.View, c *op.Call, r *op.Result) {
		if c.Kind == k && slices.Contains(refusals, r.Reason) {
			*r = op.Result{Outcome: op.OK}
		}
	}
}

// A dialect is no excuse: what it does not leave open is convicted in it.
func TestMistakesAreConvictedInEachDialect(t *testing.T) {
	for _, d := range dialects() {
		for _, m := range append(mistakes[:len(mistakes):len(mistakes)], own[d.String()]...) {
			t.Run(d.String()+"/"+m.name, func(t *testing.T) {
				s := speaker{declared: d, speaks: d}
				m.make(&s)
				r := judgeIn(t, s, conformance.StopAtFirst())
				assert.Positive(t, r.Count(conformance.Convicted))
			})
		}
	}
}

// Each difference has two mistakes of its own, and the page lists them.
func TestMistakesAreListed(t *testing.T) {
	page, err := os.ReadFile("../docs/dialects.md")
	require.NoError(t, err)
	for _, f := range dialect.Differences() {
		d := f.Only
		if d.HoldsLonger > 0 {
			d.HoldsLonger = held
		}
		list := own[d.String()]
		require.GreaterOrEqual(t, len(list), 2, f.Name)
		names := make([]string, len(list))
		for i, m := range list {
			names[i] = m.name
		}
		row := fmt.Sprintf("| `%s` | %s | %s |\n", f.Name, cmp.Or(f.Costs, "nothing"), strings.Join(names, "; "))
		assert.True(t, strings.Contains(string(page), row), "docs/dialects.md has no row\n%s", row)
	}
}

// What is not declared is convicted, and the text names the difference that would
// allow it.
func TestAnUndeclaredDifferenceIsNamed(t *testing.T) {
	for _, f := range dialect.Differences() {
		t.Run(f.Name, func(t *testing.T) {
			r := judgeIn(t, speaker{speaks: f.Only})
			require.Positive(t, r.Count(conformance.Convicted))
			named := 0
			for _, c := range r.Cases {
				if c.Conviction != nil && slices.Contains(c.Conviction.Dialects, f.Name) {
					named++
					assert.Contains(t, c.Conviction.String(), "dialect: declared, ")
				}
			}
			require.Positive(t, named)
		})
	}
}

// A difference that is declared and not there is told, each of them; one that is made
// use of is not.
func TestAVainDeclarationIsTold(t *testing.T) {
	for _, f := range dialect.Differences() {
		t.Run(f.Name, func(t *testing.T) {
			vain := speaker{declared: f.Only, tame: true, whole: true}
			vain.speaks.NoMembership = f.Only.NoMembership // who declares that is not registered with
			r := judgeIn(t, vain)
			assert.Contains(t, r.Dialect.Stricter, f.Name)
			assert.Zero(t, r.Count(conformance.Convicted))
			assert.Zero(t, r.Count(conformance.Unknown))
		})
	}
}

// The summary says what it passes as, and what was declared in vain.
func TestTheReportSaysWhatItPassesAs(t *testing.T) {
	lock := dialect.Dialect{SparseTokens: true, NoClaimIDs: true, HoldsLonger: held, NoMembership: true, NoTransfer: true, NoListing: true}
	r := judgeIn(t, speaker{declared: lock, speaks: lock})
	require.NotNil(t, r.Dialect)
	assert.Equal(t, "lock, sparse tokens, no claim ids, may hold longer than told by 40ms; keeps SingleActivation, GraceRespected, TokenMonotonic, "+
		"NoStaleWrite, VersionBump, Linearizability; does not promise: claim retry, when a lapsed actor is claimable, that a failed node claims nothing, hand-off, listing", r.Dialect.String())
	r = judgeIn(t, speaker{declared: lock, speaks: lock, tame: true})
	assert.Contains(t, r.Dialect.Stricter, "no-claim-ids")
	assert.Contains(t, r.Dialect.Stricter, "holds-longer")
	assert.NotContains(t, r.Dialect.Stricter, "no-transfer")
}
