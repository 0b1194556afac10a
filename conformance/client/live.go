package client

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Live says how clients are judged in real time.
type Live struct {
	Config   registry.Config // short times: every play lasts several TTL
	Reaction time.Duration   // how long a client may take to notice, to stop and to say so
	Parallel int             // plays at the same time
	Only     func(Case) bool // nil: all
}

// DefaultLive returns what is right for processes on one machine.
func DefaultLive() Live {
	return Live{
		Config:   registry.Config{TTL: 2 * time.Second, Grace: 500 * time.Millisecond, MaxClockSkew: 100 * time.Millisecond, FailureTimeout: 5 * time.Second},
		Reaction: 300 * time.Millisecond,
		Parallel: 4,
	}
}

// livePlays are the plays of the cases that make sense in real time: whose clocks
// are the machine's, and that end soon.
var livePlays = map[string][]int{
	"grant/free": {0}, "grant/contended": {0}, "renewal/outage": {0, 6}, "loss/one-link": {0, 1}, "loss/lapsed": {0}, "handover/drop": {0, 1},
	"pauses/one": {10, 15}, "pauses/cut": {0}, "restart/killed": {0}, "restart/same-name": {0}, "restart/two-of-a-name": {2}, "close/serving": {0},
}

// Cases lists the cases that are played.
func (l Live) Cases() []Case {
	return slices.DeleteFunc(Cases(), func(c Case) bool { return livePlays[c.ID()] == nil || l.Only != nil && !l.Only(c) })
}

// Judge plays the cases in real time with the factory's clients, which may be
// processes of their own ([Machine]), and returns an outcome for each. Where the
// machine is so busy that the suite itself comes late, nobody is convicted, nor is one
// who passes with four times the reaction: the outcome is unknown. When ctx ends, what is
// under way has no outcome: Judge returns without it, and it ends by itself.
func (l Live) Judge(ctx context.Context, f Factory) []Result {
	var all []Result
	var mu sync.Mutex
	var group sync.WaitGroup
	places := make(chan struct{}, max(l.Parallel, 1))
	for _, c := range l.Cases() {
		plays := c.plays(l.Config, 1)
		for _, i := range livePlays[c.ID()] {
			group.Go(func() {
				select {
				case places <- struct{}{}:
					defer func() { <-places }()
				case <-ctx.Done():
					return
				}
				r := l.play(plays[i], f)
				r.Case = c
				if r.Conviction != nil {
					r.Conviction.Case, r.Conviction.Play = c.ID(), plays[i].name
				}
				mu.Lock()
				defer mu.Unlock()
				if ctx.Err() == nil {
					all = append(all, r)
				}
			})
		}
	}
	over := make(chan struct{})
	go func() { group.Wait(); close(over) }()
	select {
	case <-over:
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	order := map[string]int{}
	for i, c := range Cases() {
		order[c.ID()] = i
	}
	slices.SortStableFunc(all, func(a, b Result) int { return order[a.Case.ID()] - order[b.Case.ID()] })
	return all
}

// morePatience is how many times the reaction a client is given before it is convicted.
const morePatience = 4

// play carries a play out, and what convicts again with more time: from outside nobody
// can tell a client that is slow from one that the machine gives no time to.
func (l Live) play(p play, f Factory) Result {
	return patiently(l.Reaction, func(reaction time.Duration) Result { return l.once(p, f, reaction) })
}

func patiently(reaction time.Duration, play func(time.Duration) Result) Result {
	r := play(reaction)
	if r.Conviction == nil {
		return r
	}
	again := play(morePatience * reaction)
	if again.Conviction != nil {
		return r
	}
	if again.Unknown == "" {
		again.Unknown = fmt.Sprintf("the client or the machine is slow: with a reaction of %v it passed, with %v it would have been %s", morePatience*reaction, reaction, r.Conviction.Rule)
	}
	return again
}

// once carries a play out with clients that may take that long to react.
func (l Live) once(p play, f Factory, reaction time.Duration) Result {
	w, err := newWorld(l.Config, f, 1, op.Powers{})
	if err != nil {
		return Result{Unknown: err.Error()}
	}
	w.judged.Reaction = reaction
	w.settle = func() { time.Sleep(reaction) }
	w.times = w.times.slack(reaction)
	stop := make(chan struct{})
	var late atomic.Int64
	var watch sync.WaitGroup
	watch.Go(func() { w.watch(stop, &late) })
	p.run(w)
	w.end()
	w.quiet()
	close(stop)
	watch.Wait()
	r := Result{Conviction: w.verdict()}
	if lag := time.Duration(late.Load()); r.Conviction != nil && lag > reaction/3 {
		r = Result{Unknown: fmt.Sprintf("the machine is too busy: the suite itself came %v late; it would have been %s", lag.Round(time.Millisecond), r.Conviction.Rule)}
	}
	return r
}

// slack allows for what takes no time in virtual time: processes that start, and
// a machine that does something else as well.
func (t Times) slack(reaction time.Duration) Times {
	more := 2*time.Second + 4*reaction
	t.Serve, t.Resume, t.Stop = t.Serve+more, t.Resume+more, t.Stop+more
	return t
}

// watch reads the clocks for what is served, and notes how late it comes itself.
func (w *world) watch(stop <-chan struct{}, late *atomic.Int64) {
	const every = 20 * time.Millisecond
	for last := time.Now(); ; last = time.Now() {
		select {
		case <-stop:
			return
		case <-time.After(every):
		}
		late.Store(max(late.Load(), int64(time.Since(last)-every)))
		w.look()
	}
}

// Rules returns the rules that the cases of real time are there for.
func (l Live) Rules() []conformance.RuleID {
	var rules []conformance.RuleID
	for _, c := range l.Cases() {
		rules = append(rules, c.Rules...)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}
