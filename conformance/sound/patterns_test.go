package sound

import (
	"errors"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// A store of which only every fourth call is answered is brought into the start of a
// schedule: what was asked beside a repeated registration is asked again by itself.
func TestPreparedByEveryFourthCall(t *testing.T) {
	v := Variant{Name: "three-of-four-calls-fail", peculiar: failing(everyWay, func(_ *request, n int) bool { return n%4 > 0 })}
	decided(t, v, "handles", "/close-under-way$")
}

// sevenfold is a store that tells each version sevenfold, and so leaves six out.
type sevenfold struct{ conformance.Backend }

func (sevenfold) Dialect() dialect.Dialect { return dialect.Dialect{SparseVersions: true} }

// telling is what it tells.
func (sevenfold) telling(c *cluster) {
	tell := func(p *registry.Placement) { p.Version *= 7 }
	c.serve = func(r *request) op.Result {
		if r.call.Kind == op.Watch {
			if r.call.Seen%7 > 0 {
				r.call.Seen = 1 << 60 // none that there was
			}
			r.call.Seen /= 7
		}
		a := r.serve()
		tell(&a.Record) // each renewal of a batch has come through here by itself
		for i := range a.Actors {
			tell(&a.Actors[i])
		}
		if refusal := new(registry.Refusal); errors.As(a.Err, &refusal) {
			tell(&refusal.Placement)
		}
		return a
	}
}

// A watch of what was released begins with the version that the release has made,
// whatever it is.
func TestWatchesOfSparseVersions(t *testing.T) {
	v := Variant{Name: "sevenfold", peculiar: sevenfold{}.telling}
	noneWrong(t, sevenfold{v.Backend()}, conformance.OnlyCases(regexp.MustCompile("(contract|handles)/watch")))
}

// A listing may be the first to tell the version that a late renewal has made.
func TestListingsOfSparseVersions(t *testing.T) {
	v := Variant{Name: "sevenfold-and-late", peculiar: func(c *cluster) {
		sevenfold{}.telling(c)
		var waiting *request // guarded by mu
		renewals := 0
		c.step = func(r *request) op.Result {
			if r.call.Kind == op.Renew && r.store().View(&r.call).Record.Held() {
				if renewals++; renewals%40 == 1 {
					kept := *r
					waiting = &kept
					return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: errNetwork})
				}
			}
			return r.apply()
		}
		c.read = func(r *request) op.Result {
			if r.call.Kind == op.ListActors && waiting != nil {
				waiting.apply()
				waiting = nil
			}
			return r.look()
		}
	}}
	noneWrong(t, sevenfold{v.Backend()}, conformance.OnlyCases(regexp.MustCompile("extremes/hashed-names$")))
}

// bare is a store that tells no versions, and declares what its handles have.
type bare struct{ conformance.Backend }

func (bare) Dialect() dialect.Dialect { return dialect.Dialect{BareRecords: true} }
func (bare) Declared() []conformance.Capability {
	return []conformance.Capability{conformance.ClockControl, conformance.Watch, conformance.Instances, conformance.Restart, conformance.Faulty, conformance.YieldPoints, conformance.Seeding}
}

// A watch of bare records wakes when a record comes, and for no change of it.
func TestWatchesOfBareRecords(t *testing.T) {
	v := Variant{Name: "bare", peculiar: func(c *cluster) {
		c.powers = op.Powers{Watch: true}
		c.answer = func(_ *request, a *op.Result) {
			a.Record.Version = min(a.Record.Version, 1)
			for i := range a.Actors {
				a.Actors[i].Version = 1
			}
			if refusal := new(registry.Refusal); errors.As(a.Err, &refusal) {
				told := *refusal
				told.Placement.Version = min(told.Placement.Version, 1)
				*a = op.Failed(&told)
			}
		}
		c.watch = func(r *request) op.Result {
			for {
				found, changed, err := r.seen()
				if err != nil || min(found.Version, 1) != r.call.Seen {
					return op.Result{Outcome: op.OK, Record: found, Err: err}
				}
				select {
				case <-changed:
				case <-r.ctx.Done():
				}
			}
		}
	}}
	r := noneWrong(t, bare{v.Backend()}, conformance.CallTimeout(time.Second), conformance.OnlySections("contract", "handles"))
	for _, c := range r.Capabilities {
		require.Empty(t, c.Problem)
	}
}

// nameless is a store without claim ids.
type nameless struct{ conformance.Backend }

func (nameless) Dialect() dialect.Dialect { return dialect.Dialect{NoClaimIDs: true} }

// A watch may tell a claim id that a lookup leaves out.
func TestWatchesTellMoreThanLookups(t *testing.T) {
	v := Variant{Name: "nameless", peculiar: func(c *cluster) {
		c.answer = func(r *request, a *op.Result) {
			if r.call.Kind == op.Lookup {
				a.Record.ClaimID = registry.ClaimID{}
			}
		}
	}}
	noneWrong(t, nameless{v.Backend()}, conformance.OnlyCases(regexp.MustCompile("(contract|handles|durable)/watch")))
}

// hasty is a store that finds nothing of what was released.
type hasty struct{ conformance.Backend }

func (hasty) Dialect() dialect.Dialect { return dialect.Dialect{Forgets: true} }

// A watch of what was released may tell that it is gone, or wait for the next claim.
func TestWatchesOfWhatIsGone(t *testing.T) {
	v := Variant{Name: "hasty", peculiar: func(c *cluster) {
		gone := func(p *registry.Placement) bool { return p.Version > 0 && !p.Held() }
		c.serve = func(r *request) op.Result {
			a := r.serve()
			if r.call.Kind == op.Lookup && gone(&a.Record) {
				return op.Result{Outcome: op.OK}
			}
			return a
		}
		c.watch = func(r *request) op.Result {
			for {
				found, changed, err := r.seen()
				if gone(&found) {
					found = registry.Placement{}
				}
				if err != nil || found.Version != r.call.Seen {
					return op.Result{Outcome: op.OK, Record: found, Err: err}
				}
				select {
				case <-changed:
				case <-r.ctx.Done():
				}
			}
		}
	}}
	noneWrong(t, hasty{v.Backend()}, conformance.CallTimeout(time.Second), conformance.OnlyCases(regexp.MustCompile("(contract|handles|durable)/watch")))
}

// hiding is a store that finds nothing of what was released, and whose watches tell the
// first change that came.
func hiding(c *cluster) {
	tellingTheFirst(c)
	c.serve = func(r *request) op.Result {
		a := r.serve()
		if r.call.Kind == op.Lookup && a.Found && !a.Record.Held() {
			return op.Result{Outcome: op.OK}
		}
		return a
	}
}

// A watch of what is gone may have woken before it went: for its release, or for a
// renewal that applied late.
func TestWatchesOfWhatThereWas(t *testing.T) {
	late := func(c *cluster) {
		hiding(c)
		var waiting *request // guarded by mu
		c.step = func(r *request) op.Result {
			switch second := r.call.Kind == op.Renew && r.store().View(&r.call).Record.Version == 2; {
			case waiting == nil && second:
				kept := *r
				waiting = &kept
				return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: errNetwork})
			case waiting != nil && r.call.Kind == op.Release && r.call.Actor == waiting.call.Actor:
				waiting.apply()
			}
			return r.apply()
		}
	}
	for name, peculiar := range map[string]func(*cluster){"released": hiding, "renewed late": late} {
		v := Variant{Name: name, peculiar: peculiar}
		noneWrong(t, hasty{v.Backend()}, conformance.CallTimeout(time.Second), conformance.OnlyCases(regexp.MustCompile("extremes/alike-waiters$")))
	}
}

// A store that tries once loses a schedule's conflict each time.
func TestSchedulesOfWhatTriesOnce(t *testing.T) {
	v, _ := Find("tries-once")
	decided(t, v, "schedules", "/pairs-free$")
}

// One for which each write is a conflict loses to a crowd that comes in between.
func TestACrowdBesideWhatTriesOnce(t *testing.T) {
	decided(t, Variant{Name: "one-version-for-all", peculiar: func(c *cluster) {
		var writes atomic.Uint64
		c.serve = func(r *request) op.Result {
			if !r.call.Kind.Mutates() || r.ctx.Err() != nil {
				return r.serve()
			}
			mine := writes.Add(1)
			r.clock.Now()
			if writes.Load() != mine {
				return op.Failed(registry.ErrUnavailable)
			}
			return r.serve()
		}
	}}, "contexts", "/many-waiters$")
}

// noneWrong judges a backend at level quick. No case may convict it or be left undecided.
func noneWrong(t *testing.T, b conformance.Backend, opts ...conformance.Option) *conformance.Report {
	t.Helper()
	r, err := conformance.Judge(t.Context(), b, append(opts, conformance.Level(conformance.Quick))...)
	require.NoError(t, err)
	for _, c := range r.Cases {
		require.NotContains(t, []conformance.Verdict{conformance.Convicted, conformance.Unknown}, c.Verdict, "%s: %s %v", c.ID(), c.Reason, c.Conviction)
	}
	return r
}

// decided judges a variant by some cases, each of which has to be decided.
func decided(t *testing.T, v Variant, section, cases string) {
	t.Helper()
	score, err := v.Score(t.Context(), 1, conformance.Level(conformance.Quick), conformance.OnlySections(section), conformance.OnlyCases(regexp.MustCompile(cases)))
	require.NoError(t, err)
	require.Nil(t, score.First, "%v", score.First)
	require.Empty(t, score.Undecided)
}

// reluctant is a store of which every other cluster cannot be made, and none be freed.
type reluctant struct {
	conformance.Backend
	tries *atomic.Uint64
}

func (b reluctant) New(cfg registry.Config) (conformance.Cluster, error) {
	if b.tries.Add(1)%2 == 1 {
		return nil, registry.ErrUnavailable
	}
	c, err := b.Backend.New(cfg)
	return unfreed{c}, err
}

type unfreed struct{ conformance.Cluster }

func (unfreed) Close() error { return registry.ErrUnavailable }

// A store may be in trouble also when a cluster is made or freed.
func TestClustersInTrouble(t *testing.T) {
	plain, _ := Find("plain")
	r, err := conformance.Judge(t.Context(), reluctant{plain.Backend(), new(atomic.Uint64)}, conformance.Level(conformance.Quick), conformance.OnlySections("membership", "fencing"))
	require.NoError(t, err)
	require.Zero(t, r.Count(conformance.Convicted)+r.Count(conformance.Unknown))
	require.Positive(t, r.Count(conformance.Pass))
}

// What is imported is there in each of the states that an unknown outcome leaves possible.
func TestImportsAfterUnknownOutcomes(t *testing.T) {
	v, _ := Find("requests-never")
	decided(t, v, "extremes", "/seeded-counters$")
}
