package conformance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/sections"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

// Run judges b. Every case is a subtest "section/case": a conviction fails it
// with the text of [Conviction.String], an undecided case fails it too, a case
// that was not executed is skipped with its reason.
//
// The cases run one after the other. With [Parallel] more than 1 they are
// parallel subtests (testing.T.Parallel), at most so many at a time, which pays
// for a store with latency; the command line's -parallel bounds them too.
// Under testing.Short the level is [Quick], unless [Level] says another. With
// go test -v each case tells how many histories and operations it executed and how
// long it took.
//
// Run ends before the test's own deadline does (go test -timeout, 10 minutes unless
// set), which would end the process and lose what was found: cases that it does not
// come to fail as not decided. At the default level a registry in memory takes
// seconds to a minute; give a store with latency [Parallel], or more time.
func Run(t *testing.T, b Backend, opts ...Option) {
	t.Helper()
	j, err := newJudge(b, opts)
	if err == nil {
		err = j.opts.underTest(t.Name())
	}
	if err != nil {
		t.Fatalf("conformance: %v", err)
	}
	j.until = testEnds(t)
	slots := make(chan struct{}, j.opts.parallel)
	for _, s := range sections.All() {
		t.Run(s.Name, func(t *testing.T) {
			for _, c := range s.Cases {
				if !j.opts.wants(s, c) {
					continue
				}
				t.Run(c.Name, func(t *testing.T) {
					if cap(slots) > 1 {
						t.Parallel()
					}
					slots <- struct{}{}
					defer func() { <-slots }()
					j.test(t, s, c)
				})
			}
		})
	}
	for _, c := range capabilities(j.Judgement) {
		if c.Problem != "" {
			t.Errorf("capability %s: %s", c.Capability, c.Problem)
		}
	}
	if d := dialectResult(j.Judgement, nil); d != nil {
		t.Log("passes as: " + d.String())
	}
	if m := realTime(j.Judgement); m != nil {
		t.Log("in real time: " + m.String())
	}
	t.Log(trial.ExtentText(j.Maxima.Measures()))
	if dir := j.opts.reportDir; dir != "" {
		if err := j.report(j.tested).WriteFiles(dir); err != nil {
			t.Errorf("conformance: the report was not written: %v", err)
		}
	}
}

// errTestEnds ends the judgement of Run before go test ends the process.
var errTestEnds = errors.New("the test's deadline is near (go test -timeout)")

// testEnds returns when the judgement of a test has to end: a tenth of its time
// before its deadline, at most ten seconds. Zero when it has none.
func testEnds(t *testing.T) time.Time {
	at, limited := t.Deadline()
	if !limited {
		return time.Time{}
	}
	left := at.Sub(registry.SystemClock().Now().Time())
	return at.Add(-min(left/10, 10*time.Second))
}

// test judges one case as a test.
func (j *judge) test(t *testing.T, s trial.Section, c trial.Case) {
	t.Helper()
	ctx := t.Context()
	if !j.until.IsZero() {
		var end context.CancelFunc
		ctx, end = context.WithDeadlineCause(ctx, j.until, errTestEnds)
		defer end()
	}
	r := j.judgeCase(ctx, s, c)
	j.mu.Lock()
	j.tested = append(j.tested, r)
	j.mu.Unlock()
	t.Logf("%d histories, %d operations, %v", r.Histories, r.Operations, r.Duration.Round(time.Millisecond))
	switch r.Verdict {
	case Convicted:
		t.Fatal("\n" + r.Conviction.String())
	case Unknown:
		t.Fatalf("not decided: %s", r.Reason)
	case Skipped, Waived:
		t.Skip(r.Reason)
	}
}
