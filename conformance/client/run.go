package client

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Option changes how [Run] and [Judge] work.
type Option func(*options)

type options struct {
	cfg      registry.Config
	seeds    []uint64
	cases    *regexp.Regexp
	rules    []conformance.RuleID
	first    bool
	waiters  int
	patience time.Duration
}

// Config sets the cluster's time bounds; default registry.DefaultConfig.
func Config(cfg registry.Config) Option { return func(o *options) { o.cfg = cfg } }

// Seeds sets the seeds of every case; default 1.
func Seeds(seeds ...uint64) Option { return func(o *options) { o.seeds = seeds } }

// OnlyCases limits the judgement to the cases whose "section/name" matches.
func OnlyCases(re *regexp.Regexp) Option { return func(o *options) { o.cases = re } }

// Breaking limits the judgement to the cases that are there for one of the rules.
func Breaking(rules ...conformance.RuleID) Option { return func(o *options) { o.rules = rules } }

// Waiters sets how many clients wait for one actor in the section herd; default 1000.
func Waiters(n int) Option { return func(o *options) { o.waiters = n } }

// StopAtFirst ends the judgement at the first conviction.
func StopAtFirst() Option { return func(o *options) { o.first = true } }

func newOptions(opts []Option) *options {
	o := &options{cfg: registry.DefaultConfig(), seeds: []uint64{1}, waiters: 1000, patience: 2 * time.Minute}
	for _, set := range opts {
		set(o)
	}
	if s := os.Getenv(envSeed); s != "" {
		if seed, err := strconv.ParseUint(s, 0, 64); err == nil {
			o.seeds = []uint64{seed}
		}
	}
	return o
}

// envSeed is the environment variable by which the line that Run prints replays a case.
const envSeed = "CONFORM_SEED"

// Run judges the factory's clients, each case as a subtest of t. A conviction is
// the subtest's failure.
func Run(t *testing.T, f Factory, opts ...Option) {
	o := newOptions(opts)
	for _, c := range Cases() {
		if !o.wants(c) {
			continue
		}
		t.Run(c.ID(), func(t *testing.T) {
			for _, seed := range o.seeds {
				r := o.judge(t, c, f, seed)
				switch {
				case r.Conviction != nil:
					t.Errorf("%s\nreplay: %s=%d go test -run '^%s$'", r.Conviction, envSeed, seed, strings.ReplaceAll(t.Name(), "/", "$/^"))
					return
				case r.Unknown != "":
					t.Errorf("%s is not decided: %s", c.ID(), r.Unknown)
					return
				}
			}
		})
	}
}

// Result is the outcome of a case with one seed. A pass has neither a conviction
// nor a reason why nothing was decided.
type Result struct {
	Case       Case
	Seed       uint64
	Conviction *Conviction
	Unknown    string
}

// Judge is Run without failures: it returns the outcomes, in the order of Cases.
// It needs t, because bubbles of virtual time belong to a test.
func Judge(t *testing.T, f Factory, opts ...Option) []Result {
	o := newOptions(opts)
	var all []Result
	for _, c := range Cases() {
		if !o.wants(c) {
			continue
		}
		for _, seed := range o.seeds {
			r := o.judge(t, c, f, seed)
			all = append(all, r)
			if r.Conviction != nil {
				if o.first {
					return all
				}
				break
			}
		}
	}
	return all
}

func (o *options) wants(c Case) bool {
	if o.rules != nil && !slices.ContainsFunc(o.rules, func(r conformance.RuleID) bool { return slices.Contains(c.Rules, r) }) {
		return false
	}
	return o.cases == nil || o.cases.MatchString(c.ID())
}

// judge runs a case with one seed: its plays one after the other, until one
// convicts.
func (o *options) judge(t *testing.T, c Case, f Factory, seed uint64) Result {
	r := Result{Case: c, Seed: seed}
	for i, p := range c.plays(o.cfg, seed) {
		powers := op.Powers{Batch: (seed+uint64(i))%2 == 1, Watch: (seed+uint64(i))%2 == 1}
		out := o.play(t, p, f, seed, powers)
		if out.conviction != nil && p.shorter != nil {
			out = o.shorten(t, p, out, f, seed, powers)
		}
		r.Conviction, r.Unknown = out.conviction, out.unknown
		if r.Conviction != nil {
			r.Conviction.Case, r.Conviction.Play, r.Conviction.Seed = c.ID(), p.name, seed
		}
		if r.Conviction != nil || r.Unknown != "" {
			return r
		}
	}
	return r
}

// shorten leaves out what the conviction does not need, as long as the same rule
// stays broken.
func (o *options) shorten(t *testing.T, p play, out outcome, f Factory, seed uint64, powers op.Powers) outcome {
	for tries := 0; tries < 60; {
		smaller := false
		for _, less := range p.shorter() {
			if tries++; tries > 60 {
				break
			}
			if again := o.play(t, less, f, seed, powers); again.conviction != nil && again.conviction.Rule == out.conviction.Rule {
				p, out, smaller = less, again, true
				break
			}
		}
		if !smaller {
			break
		}
	}
	return out
}

type outcome struct {
	conviction *Conviction
	unknown    string
}

// play runs one play in a bubble of its own. A bubble cannot end while goroutines
// are left in it, so that one in which a client left some is abandoned: its first
// goroutine waits for ever for something outside of it, and time stands still.
func (o *options) play(t *testing.T, p play, f Factory, seed uint64, powers op.Powers) outcome {
	verdict, never, given := make(chan outcome, 1), make(chan struct{}), make(chan struct{})
	go func() {
		synctest.Test(t, func(*testing.T) {
			before := goroutines()
			w, err := newWorld(o.cfg, f, seed, powers)
			if err != nil {
				verdict <- outcome{unknown: err.Error()}
				return
			}
			w.freeze = func() {
				select {
				case <-given:
					<-never
				default:
				}
			}
			w.waiters = o.waiters
			p.run(w)
			w.end()
			left := leftOver(before)
			if left == "" {
				time.Sleep(100 * o.cfg.TTL) // a timer that is left shows itself
			} else if !w.failed() {
				w.find(conformance.ClientCloses, "no goroutine is left after Close", "after everybody was closed a goroutine is left: %s", left)
			}
			w.quiet()
			verdict <- outcome{conviction: w.verdict()}
			if left != "" {
				<-never
			}
		})
	}()
	watchdog := time.NewTimer(o.patience)
	defer watchdog.Stop()
	select {
	case out := <-verdict:
		return out
	case <-watchdog.C:
		close(given)
		return outcome{unknown: fmt.Sprintf("after %v of real time the play has not ended. A goroutine waits for a mutex whose owner calls the handle, or makes calls without a pause:\n%s", o.patience, stacks())}
	}
}

// settle waits until every goroutine of the bubble waits.
func settle() { synctest.Wait() }

func stacks() []byte {
	for size := 1 << 16; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return buf[:n]
		}
	}
}

var bubbled = regexp.MustCompile(`^goroutine (\d+) \[[^\]]*synctest bubble (\d+)`)

// goroutines returns those of the bubble, by number.
func goroutines() map[string]string {
	settle()
	self := make([]byte, 200)
	m := bubbled.FindSubmatch(self[:runtime.Stack(self, false)])
	if m == nil {
		return nil
	}
	all := map[string]string{}
	for _, g := range bytes.Split(stacks(), []byte("\n\n")) {
		if n := bubbled.FindSubmatch(g); n != nil && bytes.Equal(n[2], m[2]) {
			all[string(n[1])] = string(g)
		}
	}
	return all
}

// leftOver describes a goroutine of the bubble that was not there before, where
// there is one.
func leftOver(before map[string]string) string {
	for n, stack := range goroutines() {
		if _, known := before[n]; !known {
			lines := strings.Split(stack, "\n")
			at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "created by") })
			if at < 0 {
				at = 1
			}
			return strings.TrimSpace(strings.Join(lines[at:min(at+2, len(lines))], " "))
		}
	}
	return ""
}
