package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/keeper/keepertest"
)

// A keeper on a registry that lies, beside one on the truth: whatever is
// answered, no actor is served twice, no loop runs without a pause, and all ends
// with its context.

// attacked is one node whose registry can be made to lie.
type attacked struct {
	*machine
	liar *keepertest.Hostile
	h    registry.Handle
}

// attacked registers a node on a registry of the given kind.
func (w *world) attacked(id registry.NodeID) *attacked {
	m := w.machine(id, 0)
	liar := keepertest.New(m)
	return &attacked{m, liar, liar.Handle()}
}

func (a *attacked) keeper(t *testing.T, o Options) *Keeper {
	if o.Clock == nil {
		o.Clock = WithTimers(a.wall)
	}
	o.Seed = 1
	k, err := New(a.h, testCfg, a.ref, o)
	require.NoError(t, err)
	t.Cleanup(k.Close)
	return k
}

func lie(t *testing.T, name string) keepertest.Lie {
	lies := keepertest.Lies()
	i := slices.IndexFunc(lies, func(l keepertest.Lie) bool { return l.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return lies[i]
}

// A claim by a clock that runs ahead of the registry's, both within ε, is refused
// once; what the refusal tells is enough to be on time for the next lapse.
func TestClocksApartMakeOneClaimALapse(t *testing.T) {
	for _, tells := range []bool{true, false} {
		t.Run(fmt.Sprint("the refusal tells the reading: ", tells), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				b := w.attacked("b") // its handle's clock is exact
				b.liar.Tell(keepertest.Always(keepertest.Lie{Ops: []string{"Claim"}, Tell: func(_ context.Context, _ keepertest.Question, truth func() keepertest.Answer) keepertest.Answer {
					time.Sleep(time.Millisecond)
					a := truth()
					var r *registry.Refusal
					if !tells && errors.As(a.Err, &r) {
						detail := *r
						detail.Now = 0
						a.Err = &detail
					}
					return a
				}}))
				ahead := registry.NewSkewedClock(registry.SystemClock(), testCfg.MaxClockSkew)
				k := b.keeper(t, Options{Clock: WithTimers(ahead)})
				const lapses = 100
				for i := range lapses {
					n, err := w.machine(registry.NodeID(fmt.Sprint("a", i)), 0).keeperOf(t).Acquire(t.Context(), cart)
					require.NoError(t, err)
					n.keeper.Close() // it has crashed
					due := n.Lease().Expiry.Add(testCfg.Grace + 2*testCfg.MaxClockSkew)
					tenure, err := k.Acquire(t.Context(), cart)
					require.NoError(t, err)
					if tells {
						assert.LessOrEqual(t, b.wall.Now().Sub(due), testCfg.TTL/10+3*time.Millisecond, "within Spread, by the registry's clock")
					}
					require.NoError(t, tenure.Release(t.Context()))
				}
				most := 2*lapses + 1 // one that finds it held, one at the lapse
				if !tells {
					most += 2 * lapses // and the few that are too early
				}
				assert.LessOrEqual(t, b.liar.Calls("Claim"), most)
			})
		})
	}
}

func (m *machine) keeperOf(t *testing.T) *Keeper { return m.keeper(t, Options{}) }

// However a registry refuses or grants, claims are paused, and end with their context.
func TestAcquireNeverSpins(t *testing.T) {
	for _, name := range []string{
		"held, by nobody", "held, but released", "held, long ago", "held, for ever", "held, without saying by whom", "held, another actor",
		"granted with expired for long", "granted with expired in 1970", "granted with an expiry years ahead", "granted a lease of nothing, and nothing done",
		"an error of no contract", "an error of no contract, after it was done", "two refusals at once", "claim is fenced", "claim has lapsed", "silence",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newWorld(t).attacked("a")
				k := a.keeper(t, Options{})
				l := lie(t, name)
				a.liar.Tell(keepertest.Always(l))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				start := time.Now()
				_, err := k.Acquire(ctx, cart)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, 10*time.Minute, time.Since(start))
				t.Log(a.liar.Calls("Claim"), "claims,", a.liar.Calls("Lookup"), "looks in ten minutes")
				assert.LessOrEqual(t, a.liar.Calls("Claim"), 310, "a claim every two seconds, and a few sooner")
				assert.LessOrEqual(t, a.liar.Calls("Lookup"), 310)
				assert.Zero(t, k.Len())

				a.liar.Tell(nil)
				time.Sleep(testCfg.TTL + testCfg.Grace + 2*testCfg.MaxClockSkew) // for what was granted without our knowing
				acquire(t, k)
			})
		})
	}
}

// Every lie, told of everything for ten minutes, to a node that serves three
// actors and to its detector, while another node waits for the same actors.
func TestNoLieMakesTwoNodesServe(t *testing.T) {
	for _, l := range keepertest.Lies() {
		t.Run(l.Name, func(t *testing.T) {
			for _, batches := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) { underAttack(t, l, batches) })
			}
		})
	}
}

func underAttack(t *testing.T, l keepertest.Lie, batches bool) {
	open := openMemimpl(t, testCfg) // renews in batches and watches
	right, other := open(registry.SystemClock()), open(registry.SystemClock())
	var under registry.Handle = right
	if !batches {
		under = unwatched{right}
	}
	liar := keepertest.New(under)
	a, err := Join(t.Context(), liar.Handle(), testCfg, "a", AgentOptions{Keeper: Options{Seed: 1}})
	require.NoError(t, err)
	detector, err := NewDetector(liar.Handle(), testCfg, DetectorOptions{Options: Options{Seed: 1}})
	require.NoError(t, err)
	b, err := Join(t.Context(), other, testCfg, "b", AgentOptions{Keeper: Options{Seed: 2}})
	require.NoError(t, err)

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	served := &services{right: other, by: map[registry.ActorID]map[string]*Tenure{}}
	wg.Go(func() { _ = detector.Run(ctx) })
	for i := range 3 {
		actor := registry.ActorID{Namespace: "attacked", Name: fmt.Sprint(i)}
		wg.Go(func() { serve(ctx, t, served, "a", a, actor, time.Hour) })
		time.Sleep(time.Second) // a has it first
		wg.Go(func() { serve(ctx, t, served, "b", b, actor, time.Minute) })
	}
	time.Sleep(time.Minute)
	liar.Tell(keepertest.Always(l))
	before := map[string]int{}
	for _, op := range l.Ops {
		before[op] = liar.Calls(op)
	}
	for range 10 * 60 * 2 { // and at each grant
		time.Sleep(500 * time.Millisecond)
		served.check(t)
	}
	for _, op := range l.Ops {
		assert.LessOrEqual(t, liar.Calls(op)-before[op], 3*600, "%s, of three actors in 600 s", op)
	}
	liar.Tell(nil)
	time.Sleep(3 * time.Minute) // what is late arrives, what was lost lapses
	select {
	case <-a.Done():
	default:
		assert.Positive(t, served.count("a"), "the truth is worked with again")
	}

	liar.Tell(keepertest.Always(l))
	leave, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start := time.Now()
	_ = a.Leave(leave)
	assert.LessOrEqual(t, time.Since(start), 5*time.Second)
	served.check(t)
	assert.Zero(t, a.Keeper().Len())
	stop()
	wg.Wait()
	_ = b.Leave(t.Context())
	time.Sleep(5 * time.Minute)
}

// services are who serves what.
type services struct {
	right registry.Handle
	mu    sync.Mutex
	by    map[registry.ActorID]map[string]*Tenure
}

func (s *services) set(actor registry.ActorID, node string, tenure *Tenure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[actor] == nil {
		s.by[actor] = map[string]*Tenure{}
	}
	s.by[actor][node] = tenure
}

func (s *services) count(node string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, by := range s.by {
		if t := by[node]; t != nil && t.Check() == nil {
			n++
		}
	}
	return n
}

// check: an actor is served by nobody but the node that the right registry holds
// it to, under that tenure.
func (s *services) check(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for actor, by := range s.by {
		p, _, err := s.right.Lookup(context.Background(), actor)
		require.NoError(t, err)
		serving := 0
		for node, tenure := range by {
			if tenure == nil || tenure.Check() != nil {
				continue
			}
			serving++
			assert.Equal(t, node, string(p.Holder.ID), "serves what it does not hold: %v", p)
			assert.Equal(t, p.Token, tenure.Token())
		}
		assert.LessOrEqual(t, serving, 1)
	}
}

// serve acquires an actor again and again, and keeps it for a while each time.
func serve(ctx context.Context, t *testing.T, s *services, node string, a *Agent, actor registry.ActorID, keep time.Duration) {
	for ctx.Err() == nil {
		tenure, err := a.Keeper().Acquire(ctx, actor)
		if err != nil {
			_ = within(ctx, time.Second)
			continue
		}
		s.set(actor, node, tenure)
		s.check(t)
		select {
		case <-tenure.Context().Done():
		case <-ctx.Done():
		case <-time.After(keep):
			release, cancel := context.WithTimeout(ctx, time.Minute)
			_ = tenure.Release(release)
			cancel()
			_ = within(ctx, testCfg.TTL) // for others to have it
		}
		s.set(actor, node, nil)
	}
}

// A watch that wakes for nothing is not asked again; the waiter polls.
func TestAWatchThatWakesForNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := openMemimpl(t, testCfg)
		liar, other := keepertest.New(open(registry.SystemClock())), open(registry.SystemClock())
		a, err := Join(t.Context(), other, testCfg, "a", AgentOptions{Keeper: Options{Seed: 1}})
		require.NoError(t, err)
		b, err := Join(t.Context(), liar.Handle(), testCfg, "b", AgentOptions{Keeper: Options{Seed: 1}})
		require.NoError(t, err)
		acquire(t, a.Keeper())
		liar.Tell(keepertest.Always(lie(t, "a watch that wakes for nothing")))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		_, err = b.Keeper().Acquire(ctx, cart)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, liar.Calls("Watch"))
		assert.LessOrEqual(t, liar.Calls("Lookup"), 100)
		require.NoError(t, a.Leave(t.Context()))
		require.NoError(t, b.Leave(t.Context()))
	})
}

// A registry that writes to what it was given, and answers well, keeps its leases.
func TestABatchThatIsOverwrittenIsStillAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		liar := keepertest.New(openMemimpl(t, testCfg)(registry.SystemClock()))
		a, err := Join(t.Context(), liar.Handle(), testCfg, "a", AgentOptions{Keeper: Options{Seed: 1}})
		require.NoError(t, err)
		tenure := acquire(t, a.Keeper())
		liar.Tell(keepertest.Always(lie(t, "a batch that overwrites its question")))
		time.Sleep(10 * testCfg.TTL)
		assert.NoError(t, tenure.Check())
		require.NoError(t, a.Leave(t.Context()))
	})
}

// One lost heartbeat is one lost heartbeat, however long the leases are beside the
// failure timeout.
func TestALostHeartbeatEndsNothing(t *testing.T) {
	for _, cfg := range []registry.Config{
		{TTL: 5 * time.Minute, Grace: 5 * time.Second, MaxClockSkew: 500 * time.Millisecond, FailureTimeout: 15 * time.Second},
		{TTL: 5 * time.Minute, Grace: 0, MaxClockSkew: 0, FailureTimeout: time.Second},
		{TTL: time.Second, Grace: 0, MaxClockSkew: 0, FailureTimeout: time.Hour},
	} {
		for _, every := range []time.Duration{0, cfg.FailureTimeout / 2} {
			synctest.Test(t, func(t *testing.T) {
				open := openMemimpl(t, cfg)
				liar, other := keepertest.New(open(registry.SystemClock())), open(registry.SystemClock())
				a, err := Join(t.Context(), liar.Handle(), cfg, "a", AgentOptions{HeartbeatEvery: every, Keeper: Options{Seed: 1}})
				require.NoError(t, err)
				d, err := NewDetector(other, cfg, DetectorOptions{Every: cfg.FailureTimeout / 20, Threshold: 1, Options: Options{Seed: 1}})
				require.NoError(t, err)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- d.Run(ctx) }()
				silence := lie(t, "silence")
				liar.Tell(func(q keepertest.Question) *keepertest.Lie {
					if q.Op == "Heartbeat" && q.N%3 == 0 {
						return &silence
					}
					return nil
				})
				time.Sleep(100 * cfg.FailureTimeout)
				assert.EqualValues(t, 1, a.Keeper().Node().Epoch, "%+v every %v", cfg, every)
				assert.NoError(t, a.Err())
				stop()
				<-ended
				require.NoError(t, a.Leave(t.Context()))
			})
		}
	}
}

// blocked is an observer and a log handler that never returns until it is freed.
type blocked struct {
	free chan struct{}
	told atomic.Int64
}

func newBlocked(t *testing.T) *blocked {
	b := &blocked{free: make(chan struct{})}
	t.Cleanup(func() { close(b.free); synctest.Wait() })
	return b
}

func (b *blocked) wait()                                          { b.told.Add(1); <-b.free }
func (b *blocked) Claimed(registry.ActorID, time.Duration, error) { b.wait() }
func (b *blocked) Renewed(registry.Lease, time.Duration, error)   { b.wait() }
func (b *blocked) Degraded(*Tenure, error)                        { b.wait() }
func (b *blocked) Healthy(*Tenure)                                { b.wait() }
func (b *blocked) Lost(*LostError)                                { b.wait() }
func (b *blocked) Enabled(context.Context, slog.Level) bool       { b.wait(); return true }
func (b *blocked) Handle(context.Context, slog.Record) error      { b.wait(); return nil }
func (b *blocked) WithAttrs([]slog.Attr) slog.Handler             { return b }
func (b *blocked) WithGroup(string) slog.Handler                  { return b }
func (b *blocked) options(observe, log bool) (o Options) {
	if observe {
		o.Observer = b
	}
	if log {
		o.Logger = slog.New(b)
	}
	return o
}

// However slow those are who are told, every context ends before the actor can be
// another's, all at once when all are lost, and the keeper goes on with its work.
func TestCancellationWaitsForNobody(t *testing.T) {
	for _, who := range []struct{ observe, log bool }{{true, false}, {false, true}, {true, true}} {
		t.Run(fmt.Sprintf("%+v", who), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a, other := w.attacked("a"), w.machine("b", 0).keeperOf(t)
				k := a.keeper(t, newBlocked(t).options(who.observe, who.log))
				var tenures []*Tenure
				for i := range 10 {
					tenure, err := k.Acquire(t.Context(), registry.ActorID{Namespace: "many", Name: fmt.Sprint(i)})
					require.NoError(t, err)
					tenures = append(tenures, tenure)
				}
				time.Sleep(10 * testCfg.TTL)
				require.Equal(t, 10, k.Len(), "renewals go on")
				a.liar.Tell(keepertest.Always(lie(t, "silence")))
				for i, tenure := range tenures {
					next, err := other.Acquire(t.Context(), tenure.Actor())
					require.NoError(t, err)
					for _, late := range tenures {
						if late.Actor() == next.Actor() {
							assert.Error(t, late.Context().Err(), i)
						}
					}
				}
				a.liar.Tell(nil)
				tenure := acquire(t, k)
				k.End(errors.New("enough"))
				assert.Error(t, tenure.Context().Err(), "at once")
				assert.Error(t, tenure.Check())
			})
		})
	}
}

// A blocked callback of the agent or the detector delays neither.
func TestCallbacksDelayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		b := newBlocked(t)
		m, other := w.machine("m", 0), w.machine("other", 0)
		a := m.join(t, "n1", AgentOptions{Changed: func(*Keeper) { b.wait() }, Keeper: b.options(true, true)})
		d, err := NewDetector(other, testCfg, DetectorOptions{Failed: func(registry.NodeRef) { b.wait() }, Options: Options{Clock: WithTimers(other.wall), Seed: 2, Logger: slog.New(b)}})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		for range 3 { // is failed, and comes back
			epoch := a.Keeper().Node().Epoch
			tenure, err := a.Keeper().Acquire(t.Context(), cart)
			require.NoError(t, err)
			m.set(failing("Heartbeat", registry.ErrUnavailable), nil)
			time.Sleep(40 * time.Second)
			m.set(nil, nil)
			assert.ErrorIs(t, over(t, tenure), ErrNodeOver)
			time.Sleep(time.Minute)
			assert.Equal(t, epoch+1, a.Keeper().Node().Epoch)
		}
		assert.NoError(t, a.Leave(t.Context()))
		stop()
		<-ended
	})
}

// The two-clock rule: a wall clock that is set back, however far and whenever,
// revives no belief and prolongs none, renewals included. The registry reads the
// same wrong clock.
func TestAClockSetBackProlongsNothing(t *testing.T) {
	for _, back := range []time.Duration{1500 * time.Millisecond, 3 * time.Second, 10 * time.Second, time.Minute, time.Hour, 10 * 365 * 24 * time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			for at := time.Duration(0); at < 45*time.Second; at += 1700 * time.Millisecond {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					a, b := w.machine("a", 0), w.machine("b", 0)
					ka, kb := a.keeperOf(t), b.keeperOf(t)
					first := acquire(t, ka)
					time.Sleep(at)
					a.wall.SetOffset(-back)
					ctx, stop := context.WithCancel(t.Context())
					var again sync.WaitGroup
					var latest atomic.Pointer[Tenure]
					latest.Store(first)
					again.Go(func() { // it tries to come back
						for ctx.Err() == nil {
							if tenure, err := ka.TryAcquire(ctx, cart); err == nil {
								latest.Store(tenure)
							}
							_ = within(ctx, time.Second)
						}
					})
					for range 5 {
						wait, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
						tenure, err := kb.Acquire(wait, cart)
						cancel()
						if err != nil {
							require.Less(t, back, 10*time.Second, "a lease that much shorter cannot be kept")
							continue
						}
						assert.Error(t, first.Check(), "set back by %v after %v", back, at)
						assert.Error(t, latest.Load().Check(), "set back by %v after %v, and claimed again", back, at)
						time.Sleep(time.Minute)
						assert.NoError(t, tenure.Check(), "nobody takes it away")
						assert.NoError(t, tenure.Release(t.Context()))
					}
					a.wall.SetOffset(0)
					time.Sleep(10 * time.Second)
					stop()
					again.Wait()
					assert.NoError(t, latest.Load().Check(), "a clock that is right again is believed again: set back by %v after %v", back, at)
				})
			}
		})
	}
}

func TestAClockSetBackIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newWorld(t).machine("a", 0)
		k := a.keeperOf(t)
		tenure := acquire(t, k)
		require.NoError(t, tenure.Release(t.Context()))
		a.wall.SetOffset(-time.Hour)
		start := time.Now()
		_, err := k.Acquire(t.Context(), cart)
		require.ErrorIs(t, err, ErrClockSetBack)
		_, err = k.Adopt(t.Context(), tenure.Lease())
		require.ErrorIs(t, err, ErrClockSetBack)
		assert.Zero(t, time.Since(start), "at once")
	})
}

// Leave returns when its context ends, whatever the registry does, and the tenures
// are lost at once.
func TestLeaveHonoursItsContext(t *testing.T) {
	for name, l := range map[string]keepertest.Lie{"never": keepertest.Late(time.Hour), "until the context ends": lie(t, "silence")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := w.attacked("n")
				a, err := Join(t.Context(), n.h, testCfg, "a", AgentOptions{Keeper: Options{Seed: 1}})
				require.NoError(t, err)
				tenure := acquire(t, a.Keeper())
				n.liar.Tell(keepertest.Always(l))
				time.Sleep(7 * time.Second) // a heartbeat is under way
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start := time.Now()
				left := make(chan error)
				go func() { left <- a.Leave(ctx) }()
				synctest.Wait()
				assert.ErrorIs(t, tenure.Check(), ErrNodeOver)
				assert.ErrorIs(t, <-left, context.DeadlineExceeded)
				assert.Equal(t, 3*time.Second, time.Since(start))
				synctest.Wait()
				n.liar.Tell(nil)
				time.Sleep(2 * time.Hour)
				assert.NoError(t, a.Leave(t.Context()), "once more, when it can be")
				assert.Equal(t, registry.NodeLeft, n.node(t, "a").Status)
				assert.Equal(t, ErrNodeOver, a.Err())
			})
		})
	}
}

// leaver leaves from wherever it is called.
type leaver struct {
	NopObserver
	agent *Agent
	left  chan error
}

func (l *leaver) leave() {
	if l.agent != nil {
		l.left <- l.agent.Leave(context.Background())
	}
}
func (l *leaver) Lost(*LostError)                                { l.leave() }
func (l *leaver) Claimed(registry.ActorID, time.Duration, error) { l.leave() }

func TestLeaveFromCallbacks(t *testing.T) {
	for _, event := range []string{"claimed", "lost", "node failed", "changed"} {
		t.Run(event, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newWorld(t).machine("m", 0)
				l := &leaver{left: make(chan error, 10)}
				o := AgentOptions{Keeper: Options{Clock: WithTimers(m.wall), Seed: 1, Observer: l}}
				if event == "changed" {
					o.Keeper.Observer = nil
					o.Changed = func(*Keeper) { l.leave() }
				}
				a, err := Join(t.Context(), m, testCfg, "n1", o)
				require.NoError(t, err)
				synctest.Wait()
				tenure := acquire(t, a.Keeper())
				synctest.Wait()
				l.agent = a
				switch event {
				case "claimed":
					_, _ = a.Keeper().TryAcquire(t.Context(), cart)
				case "lost":
					require.NoError(t, tenure.Release(t.Context()))
				default:
					m.set(failing("Heartbeat", registry.ErrUnavailable), nil)
					time.Sleep(2 * testCfg.FailureTimeout)
					require.NoError(t, m.MarkFailed(t.Context(), a.Keeper().Node()))
					m.set(nil, nil)
				}
				assert.NoError(t, <-l.left)
				<-a.Done()
			})
		})
	}
}

// A closed keeper claims nothing; what was being claimed when it closed is given back.
func TestNothingIsClaimedForAClosedKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newWorld(t).attacked("a")
		k := a.keeper(t, Options{})
		a.liar.Tell(keepertest.Always(keepertest.Lie{Ops: []string{"Claim"}, Tell: func(_ context.Context, _ keepertest.Question, truth func() keepertest.Answer) keepertest.Answer {
			a := truth()
			k.Close()
			return a
		}}))
		_, err := k.TryAcquire(t.Context(), cart)
		require.ErrorIs(t, err, ErrNodeOver)
		synctest.Wait()
		assert.EqualValues(t, 1, a.record(t).Token, "it was granted")
		assert.False(t, a.record(t).Held(), "and given back")

		a.liar.Tell(nil)
		for range 100 {
			_, err = k.TryAcquire(t.Context(), cart)
			require.ErrorIs(t, err, ErrNodeOver)
			_, err = k.Acquire(t.Context(), cart)
			require.ErrorIs(t, err, ErrNodeOver)
			_, err = k.Adopt(t.Context(), registry.Lease{Actor: cart, Holder: a.ref, Token: 1})
			require.ErrorIs(t, err, ErrNodeOver)
		}
		synctest.Wait()
		assert.Equal(t, 1, a.liar.Calls("Claim"))
	})
}

// A node serves an actor under one tenure.
func TestAdoptingTwiceIsOneTenure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.machine("a", 0), w.machine("b", 0)
		ka, kb := a.keeperOf(t), b.keeperOf(t)
		l, err := acquire(t, ka).Transfer(t.Context(), b.ref)
		require.NoError(t, err)
		var wg sync.WaitGroup
		tenures := make([]*Tenure, 4)
		b.set(slow("Renew", time.Millisecond), nil) // all of them at once
		for i := range tenures {
			wg.Go(func() { tenures[i], _ = kb.Adopt(t.Context(), l) })
		}
		wg.Wait()
		for _, tenure := range tenures {
			require.Same(t, tenures[0], tenure)
		}
		again, err := kb.Adopt(t.Context(), l)
		require.NoError(t, err)
		assert.Same(t, tenures[0], again)
		assert.Equal(t, 1, kb.Len())

		l, err = again.Transfer(t.Context(), a.ref)
		require.NoError(t, err)
		back, err := ka.Adopt(t.Context(), l)
		require.NoError(t, err)
		old := l
		old.Token--
		old.Holder = a.ref
		_, err = ka.Adopt(t.Context(), old)
		require.ErrorIs(t, err, ErrLost)
		assert.NoError(t, back.Check())
	})
}

// A later grant of an actor to the same node ends the former tenure.
func TestALaterGrantEndsTheFormerTenure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newWorld(t).machine("a", 0)
		k := a.keeperOf(t)
		first := acquire(t, k)
		require.NoError(t, a.Handle.Release(t.Context(), first.Lease())) // behind its back
		second := acquire(t, k)
		assert.ErrorIs(t, first.Check(), registry.ErrFenced)
		assert.Error(t, first.Context().Err())
		assert.NoError(t, second.Check())
		assert.Equal(t, 1, k.Len())
	})
}

// Nil is refused where it is given, with an error that names it, and changes nothing.
func TestNilArguments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).machine("m", 0)
		refused := func(err error, what string) {
			t.Helper()
			require.ErrorIs(t, err, registry.ErrInvalid)
			require.ErrorContains(t, err, what+" is nil")
		}
		_, err := New(nil, testCfg, m.ref, Options{})
		refused(err, "registry")
		_, err = Join(t.Context(), nil, testCfg, "n", AgentOptions{})
		refused(err, "handle")
		var none context.Context
		_, err = Join(none, m, testCfg, "n", AgentOptions{})
		refused(err, "context")
		_, err = NewDetector(nil, testCfg, DetectorOptions{})
		refused(err, "membership")
		require.PanicsWithValue(t, "keeper.WithTimers: invalid argument: wall clock is nil", func() { WithTimers(nil) })

		k := m.keeperOf(t)
		tenure := acquire(t, k)
		_, err = k.Acquire(none, cart)
		refused(err, "context")
		_, err = k.TryAcquire(none, cart)
		refused(err, "context")
		_, err = k.Adopt(none, tenure.Lease())
		refused(err, "context")
		refused(tenure.Release(none), "context")
		_, err = tenure.Transfer(none, m.ref)
		refused(err, "context")
		_, err = tenure.Transfer(t.Context(), registry.NodeRef{})
		require.ErrorIs(t, err, registry.ErrInvalid)
		require.NoError(t, tenure.Check(), "a bad argument changes nothing")
		d, err := NewDetector(m, testCfg, DetectorOptions{})
		require.NoError(t, err)
		refused(d.Run(none), "context")
		a := m.join(t, "n1", AgentOptions{})
		refused(a.Leave(none), "context")
		require.NoError(t, a.Err())
		_, err = Join(t.Context(), m, testCfg, "", AgentOptions{})
		require.ErrorIs(t, err, registry.ErrInvalid)
		_, err = Join(t.Context(), m, testCfg, "n", AgentOptions{Mode: 7})
		require.ErrorIs(t, err, registry.ErrInvalid)
		_, err = Join(t.Context(), m, testCfg, "n", AgentOptions{HeartbeatEvery: testCfg.FailureTimeout})
		require.ErrorIs(t, err, registry.ErrInvalid)

		k.End(nil)
		require.ErrorIs(t, tenure.Check(), ErrNodeOver)
		_, err = k.Acquire(t.Context(), cart)
		require.ErrorIs(t, err, ErrNodeOver)
	})
}

// A registry that does not end with its context is left behind by all that wait
// for it, a moment after theirs has ended.
func TestCallersEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newWorld(t).attacked("a")
		k := a.keeper(t, Options{})
		tenure, released := acquire(t, k), acquireOther(t, k)
		detector, err := NewDetector(a.h, testCfg, DetectorOptions{Options: Options{Seed: 1}})
		require.NoError(t, err)
		a.liar.Tell(keepertest.Always(keepertest.Late(time.Hour)))
		for name, call := range map[string]func(context.Context) error{
			"Acquire": func(ctx context.Context) error {
				_, err := k.Acquire(ctx, registry.ActorID{Namespace: "a", Name: "new"})
				return err
			},
			"Adopt": func(ctx context.Context) error {
				_, err := k.Adopt(ctx, registry.Lease{Actor: registry.ActorID{Namespace: "a", Name: "given"}, Holder: a.ref, Token: 1})
				return err
			},
			"Release": released.Release,
			"Transfer": func(ctx context.Context) error {
				_, err := tenure.Transfer(ctx, registry.NodeRef{ID: "b", Epoch: 1})
				return err
			},
			"Join": func(ctx context.Context) error { _, err := Join(ctx, a.h, testCfg, "new", AgentOptions{}); return err },
			"Run":  detector.Run,
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			start := time.Now()
			require.Error(t, call(ctx), name)
			cancel()
			assert.LessOrEqual(t, time.Since(start), 20*time.Second+4*testCfg.TTL/60, name)
		}
		a.liar.Tell(nil)
		time.Sleep(2 * time.Hour)
	})
}

// never is a lie that is no answer for a day, whatever becomes of the call's context.
func never(ops ...string) keepertest.Lie {
	return keepertest.Lie{Ops: ops, Tell: func(context.Context, keepertest.Question, func() keepertest.Answer) keepertest.Answer {
		time.Sleep(24 * time.Hour)
		return keepertest.Answer{Err: registry.ErrUnavailable}
	}}
}

// A watch that never returns is left behind: who waits polls, and has the actor when
// its lease has lapsed.
func TestAWatchThatNeverReturnsIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := openMemimpl(t, testCfg)
		liar := keepertest.New(open(registry.SystemClock()))
		a, err := Join(t.Context(), open(registry.SystemClock()), testCfg, "a", AgentOptions{Keeper: Options{Seed: 1}})
		require.NoError(t, err)
		b, err := Join(t.Context(), liar.Handle(), testCfg, "b", AgentOptions{Keeper: Options{Seed: 1}})
		require.NoError(t, err)
		liar.Tell(keepertest.Always(never("Watch")))
		acquire(t, a.Keeper())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		start := time.Now()
		_, err = b.Keeper().Acquire(ctx, cart)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(start), 10*time.Minute+testCfg.TTL/60)
		assert.Equal(t, 1, liar.Calls("Watch"))
		require.NoError(t, a.Leave(t.Context()))
		start = time.Now()
		acquire(t, b.Keeper())
		assert.LessOrEqual(t, time.Since(start), 2*testCfg.TTL)
		require.NoError(t, b.Leave(t.Context()))
		time.Sleep(24 * time.Hour)
	})
}

// As many renewals as there are workers never return. The leases that they were of run
// out; those that come later are renewed.
func TestRenewalsThatNeverReturnAreLeftBehind(t *testing.T) {
	for _, batches := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var h registry.Handle = openMemimpl(t, testCfg)(registry.SystemClock())
			if !batches {
				h = unwatched{h}
			}
			liar := keepertest.New(h)
			a, err := Join(t.Context(), liar.Handle(), testCfg, "a", AgentOptions{Keeper: Options{Seed: 1, Policy: Policy{Workers: 2, BatchSize: 1}}})
			require.NoError(t, err)
			k := a.Keeper()
			liar.Tell(keepertest.Always(never("Renew", "RenewBatch")))
			acquire(t, k)
			acquireOther(t, k)
			time.Sleep(2 * testCfg.TTL)
			assert.Zero(t, k.Len())
			liar.Tell(nil)
			tenure := acquire(t, k)
			time.Sleep(3 * testCfg.TTL)
			assert.NoError(t, tenure.Check())
			require.NoError(t, a.Leave(t.Context()))
			time.Sleep(24 * time.Hour)
		})
	}
}

// renewals is told of the renewals of one lease that failed.
type renewals struct {
	NopObserver
	of     registry.ActorID
	failed atomic.Int64
}

func (r *renewals) Renewed(l registry.Lease, _ time.Duration, err error) {
	if l.Actor == r.of && err != nil {
		r.failed.Add(1)
	}
}

// Leases that are about to end, because their own renewals fail, take no time from one
// that is renewed in a batch with them.
func TestLeasesAtTheirEndTakeNoTimeFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		liar := keepertest.New(openMemimpl(t, testCfg)(registry.SystemClock()))
		seen := &renewals{of: registry.ActorID{Namespace: "shop", Name: "other"}}
		a, err := Join(t.Context(), liar.Handle(), testCfg, "a", AgentOptions{Keeper: Options{Seed: 1, Observer: seen, Policy: Policy{Workers: 1}}})
		require.NoError(t, err)
		liar.Tell(keepertest.Always(keepertest.Lie{Ops: []string{"RenewBatch"}, Tell: func(ctx context.Context, q keepertest.Question, truth func() keepertest.Answer) keepertest.Answer {
			_ = within(ctx, 3300*time.Millisecond)
			r := truth()
			for i, l := range q.Leases {
				if ctx.Err() != nil || l.Actor != seen.of {
					r.Renewals[i] = registry.Renewal{Err: registry.ErrUnavailable}
				}
			}
			return r
		}}))
		acquireOther(t, a.Keeper())
		for i := range 300 {
			_, err := a.Keeper().TryAcquire(t.Context(), registry.ActorID{Namespace: "ends", Name: fmt.Sprint(i)})
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		assert.Zero(t, seen.failed.Load(), "failed renewals of the other")
		require.NoError(t, a.Leave(t.Context()))
	})
}

// A grant whose answer came so late that another node was granted the actor since is
// no error: whoever acquires waits, as for any actor that is held.
func TestALateGrantThatIsOverIsClaimedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.attacked("a"), w.machine("b", 0).keeperOf(t)
		a.liar.Tell(keepertest.Once(keepertest.Lie{Ops: []string{"Claim"}, Tell: func(_ context.Context, _ keepertest.Question, truth func() keepertest.Answer) keepertest.Answer {
			r := truth()
			time.Sleep(5 * time.Minute) // the process was stopped
			return r
		}}))
		acquired := make(chan *Tenure)
		go func() {
			tenure, err := a.keeper(t, Options{}).Acquire(t.Context(), cart)
			assert.NoError(t, err)
			acquired <- tenure
		}()
		time.Sleep(time.Minute)
		other := acquire(t, b)
		time.Sleep(10 * time.Minute)
		require.NoError(t, other.Release(t.Context()))
		tenure := <-acquired
		require.NotNil(t, tenure)
		assert.NoError(t, tenure.Check())
		assert.Equal(t, other.Token()+1, tenure.Token())
	})
}

func acquireOther(t *testing.T, k *Keeper) *Tenure {
	tenure, err := k.Acquire(t.Context(), registry.ActorID{Namespace: "shop", Name: "other"})
	require.NoError(t, err)
	return tenure
}

// A claim that was given up as unknown, and lands while its caller waits for another
// holder, is found and served: it has the caller's identity.
func TestAClaimThatLandsLateIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.attacked("a"), w.machine("b", 0)
		held := acquire(t, b.keeperOf(t))
		var lost atomic.Pointer[keepertest.Question]
		a.liar.Tell(keepertest.Once(keepertest.Lie{Ops: []string{"Claim"}, Tell: func(_ context.Context, q keepertest.Question, _ func() keepertest.Answer) keepertest.Answer {
			lost.Store(&q)
			return keepertest.Answer{Err: &registry.AmbiguousError{MayStillApply: true, Cause: errors.New("timed out")}}
		}}))
		granted := make(chan *Tenure)
		go func() {
			tenure, err := a.keeper(t, Options{}).Acquire(t.Context(), cart)
			assert.NoError(t, err)
			granted <- tenure
		}()
		time.Sleep(10 * time.Second) // it has been refused since, and waits
		require.NoError(t, held.Release(t.Context()))
		q := lost.Load()
		late, err := a.Handle.Claim(t.Context(), q.Actor, q.Node, q.Claim)
		require.NoError(t, err)
		start := time.Now()
		tenure := <-granted
		assert.Equal(t, late.Token, tenure.Token())
		assert.NoError(t, tenure.Check())
		assert.LessOrEqual(t, time.Since(start), testCfg.TTL/2, "at its next look")
	})
}
