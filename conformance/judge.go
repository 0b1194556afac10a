package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/sections"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/conformance/report"
)

// Judge judges b and reports. It returns an error for bad options, and the
// context's error with the report so far when the context ends.
func Judge(ctx context.Context, b Backend, opts ...Option) (*Report, error) {
	j, err := newJudge(b, opts)
	if err != nil {
		return nil, err
	}
	return j.judge(ctx)
}

// judge carries one judgement.
type judge struct {
	*trial.Judgement
	opts    *options
	started registry.Instant
	shares  *trial.Shares // of the time for drawing histories; nil: one round
	until   time.Time     // when Run has to end; zero: it may take what it takes

	stop atomic.Bool // after the first conviction, when asked for

	mu     sync.Mutex // guards done and calls of opts.progress, and tested
	done   int
	tested []CaseResult // by Run
}

func newJudge(b Backend, opts []Option) (*judge, error) {
	o, err := newOptions(b, opts)
	if err != nil {
		return nil, err
	}
	shared := &trial.Judgement{Backend: b, Opts: &o.settings, Maxima: trial.NewMaxima()}
	j := &judge{Judgement: shared, opts: o, started: registry.SystemClock().Now()}
	if s, ok := b.(Speaker); ok {
		j.Dialect = s.Dialect()
		if err := j.Dialect.Validate(); err != nil {
			return nil, err
		}
	}
	j.Found = probe(shared)
	j.shares = j.newShares()
	return j, nil
}

// newShares divides the time of [Duration] among the cases that draw histories; nil
// when there is none.
func (j *judge) newShares() *trial.Shares {
	if j.opts.duration == 0 {
		return nil
	}
	drawing := 0
	for _, s := range sections.All() {
		for _, c := range s.Cases {
			if j.draws(c) && j.opts.wants(s, c) {
				drawing++
			}
		}
	}
	return trial.NewShares(registry.SystemClock().Now().Add(j.opts.duration), drawing)
}

// draws reports whether a case can use more time than it must have.
func (j *judge) draws(c trial.Case) bool { return c.Draws && cannot(j.Judgement, c) == "" }

// share returns until when a case that begins now draws histories; the past for one
// round.
func (j *judge) share(c trial.Case) registry.Instant {
	if j.shares == nil || !j.draws(c) {
		return 0
	}
	return j.shares.Begin(registry.SystemClock().Now(), j.opts.parallel)
}

func (j *judge) judge(ctx context.Context) (*Report, error) {
	type slot struct {
		s trial.Section
		c trial.Case
	}
	var slots []slot
	for _, s := range sections.All() {
		for _, c := range s.Cases {
			if j.opts.wants(s, c) {
				slots = append(slots, slot{s, c})
			}
		}
	}
	results := make([]CaseResult, len(slots))
	var next atomic.Int64
	var wg sync.WaitGroup
	j.Idle = make(trial.Idle, j.opts.parallel)
	for range j.opts.parallel {
		wg.Go(func() {
			defer j.Idle.Leave()
			for i := int(next.Add(1)) - 1; i < len(slots); i = int(next.Add(1)) - 1 {
				s, c := slots[i].s, slots[i].c
				j.event(Event{Section: s.Name, Case: c.Name, Total: len(slots)})
				results[i] = j.judgeCase(ctx, s, c)
				j.event(Event{Section: s.Name, Case: c.Name, Total: len(slots), Result: &results[i]})
			}
		})
	}
	wg.Wait()
	r := j.report(results)
	if dir := j.opts.reportDir; dir != "" {
		if err := r.WriteFiles(dir); err != nil {
			return r, errors.Join(ctx.Err(), fmt.Errorf("the report was not written: %w", err))
		}
	}
	return r, ctx.Err()
}

// report makes a report of what the cases said.
func (j *judge) report(results []CaseResult) *Report {
	slices.SortStableFunc(results, func(a, b CaseResult) int { return cmp.Compare(position(a.ID()), position(b.ID())) })
	rules := ruleResults(results, capabilities(j.Judgement))
	took := registry.SystemClock().Now().Sub(j.started)
	histories, operations := report.Executed(results)
	return &Report{
		Schema:       ReportSchema,
		Backend:      j.Backend.Name(),
		Type:         reflect.TypeOf(j.Backend).String(),
		Go:           runtime.Version(),
		Platform:     runtime.GOOS + "/" + runtime.GOARCH,
		Store:        storeOf(j.Backend),
		Config:       j.opts.settings.Cfg,
		Seeds:        j.opts.seeds,
		Started:      j.started,
		Duration:     took,
		Capabilities: capabilities(j.Judgement),
		Cases:        results,
		Dialect:      dialectResult(j.Judgement, rules),
		RealTime:     realTime(j.Judgement),
		Rules:        rules,
		Sections:     sectionResults(results),
		Profiles:     profileResults(results),
		Level:        j.opts.settings.Level,
		Extent:       j.Maxima.Measures(),
		Speed:        report.SpeedOf(histories, operations, took),
	}
}

func (j *judge) event(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Result != nil {
		j.done++
	}
	e.Done = j.done
	j.opts.progress(e)
}

// judgeCase runs one case over all seeds, up to the first conviction.
func (j *judge) judgeCase(ctx context.Context, s trial.Section, c trial.Case) (r CaseResult) {
	r = CaseResult{Section: s.Name, Name: c.Name, Doc: c.Doc, Rules: slices.Clone(c.Rules), Verdict: Pass}
	start := registry.SystemClock().Now()
	defer func() {
		r.Duration = registry.SystemClock().Now().Sub(start)
		if r.Verdict == Pass && len(r.Waived) > 0 {
			r.Verdict, r.Reason = Waived, trial.WaivedText(r.Waived)
		}
	}()
	if reason := cannot(j.Judgement, c); reason != "" {
		r.Verdict, r.Reason = Skipped, reason
		return r
	}
	until := j.share(c)
	for round := uint64(0); ; round++ {
		for _, seed := range j.seedsOf(c) {
			if cause := context.Cause(ctx); cause != nil {
				r.Verdict, r.Reason = Unknown, fmt.Sprintf("the judgement was ended before: %v", cause)
				return r
			}
			if j.stop.Load() {
				r.Verdict, r.Reason = Skipped, "the judgement was ended before, at the first conviction"
				return r
			}
			v := j.try(ctx, s, c, seed+round<<48, &r)
			if v == Convicted && j.opts.stopAtFirst {
				j.stop.Store(true)
			}
			if v != Pass {
				return r
			}
		}
		if registry.SystemClock().Now() >= until {
			return r
		}
	}
}

// seedsOf returns the seeds that make a difference to a case.
func (j *judge) seedsOf(c trial.Case) []uint64 {
	if !c.Draws {
		return j.opts.seeds[:1]
	}
	return j.opts.seeds
}

// try executes a case with one seed and adds to r what came of it.
func (j *judge) try(ctx context.Context, s trial.Section, c trial.Case, seed uint64, r *CaseResult) Verdict {
	for n := 1; ; n++ {
		t := trial.New(ctx, j.Judgement, s, c, seed)
		t.Again.Store(int64(n - 1))
		end := t.Execute()
		r.Histories += int(t.Executed.Load())
		r.Operations += int(t.Operations.Load())
		r.Troubles += int(t.Troubles.Load())
		if t.Coverage.States > 0 {
			r.Coverage = &t.Coverage
		}
		if t.Schedules.Situations > 0 {
			r.Schedules = &t.Schedules
		}
		waived := end.Conviction != nil && t.Waive(end.Conviction.Rule, end.Conviction.Found)
		for _, b := range t.Waived() {
			r.Waived = trial.AppendBreach(r.Waived, b)
		}
		switch {
		case waived:
			return Pass
		case end.Conviction != nil:
			end.Conviction.HistoryNo = r.Histories
			if t.ConvictedAt > 0 {
				end.Conviction.HistoryNo += int(t.ConvictedAt - t.Executed.Load())
			}
			r.Verdict, r.Conviction = Convicted, end.Conviction
		case end.Beyond != "":
			r.Verdict, r.Reason = Skipped, end.Beyond
		case end.Undecided == "":
			return Pass
		case n < t.Attempts() && ctx.Err() == nil:
			continue
		default:
			r.Verdict, r.Reason = Unknown, end.Undecided
			if n > 1 {
				r.Reason += fmt.Sprintf(" (tried %d times)", n)
			}
		}
		return r.Verdict
	}
}
