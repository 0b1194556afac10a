package conformance

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/sections"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

// Option changes how [Run] and [Judge] work.
type Option func(*options) error

type options struct {
	settings    trial.Settings
	seeds       []uint64
	duration    time.Duration
	sections    []string
	cases       *regexp.Regexp
	parallel    int // of Judge; of Run when set
	parallelSet bool
	levelSet    bool
	reportDir   string
	stopAtFirst bool
	progress    func(Event)
}

// Config sets the cluster's time bounds; default registry.DefaultConfig. A
// [RealTime] backend's own configuration takes its place.
func Config(cfg registry.Config) Option {
	return func(o *options) error { o.settings.Cfg = cfg; return cfg.Validate() }
}

// Seeds sets the seeds that every case runs with that draws anything; default
// 1. The seed decides everything but the schedule of goroutines.
func Seeds(seeds ...uint64) Option {
	return func(o *options) error {
		if len(seeds) == 0 {
			return &registry.InvalidError{Field: "seeds", Problem: "are none"}
		}
		o.seeds = seeds
		return nil
	}
}

// Histories sets how many histories each case that draws them executes per
// seed; default 0, which leaves it to the case.
func Histories(n int) Option {
	return func(o *options) error {
		if n < 0 {
			return &registry.InvalidError{Field: "histories", Problem: fmt.Sprintf("is %d, want 0 or more", n)}
		}
		o.settings.Histories = n
		return nil
	}
}

// Duration makes the cases that draw histories go on, with further seeds,
// until that much time has passed; default 0, one round. Each case has an equal
// share of it.
func Duration(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return &registry.InvalidError{Field: "duration", Problem: fmt.Sprintf("is %v, want 0 or more", d)}
		}
		o.duration = d
		return nil
	}
}

// OnlySections limits the judgement to the named sections.
func OnlySections(names ...string) Option {
	return func(o *options) error {
		for _, n := range names {
			if !slices.ContainsFunc(sections.All(), func(s trial.Section) bool { return s.Name == n }) {
				return &registry.InvalidError{Field: "section", Problem: fmt.Sprintf("%q does not exist, want one of %s", n, strings.Join(sectionNames(), ", "))}
			}
		}
		o.sections = names
		return nil
	}
}

// OnlyCases limits the judgement to the cases whose "section/name" matches.
func OnlyCases(re *regexp.Regexp) Option {
	return func(o *options) error { o.cases = re; return nil }
}

// Parallel sets how many cases are judged at the same time; default one per
// processor in [Judge], and one in [Run]. In Judge, a place that has no case left
// takes walks of a case of section edges.
func Parallel(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return &registry.InvalidError{Field: "parallel", Problem: fmt.Sprintf("is %d, want 1 or more", n)}
		}
		o.parallel, o.parallelSet = n, true
		return nil
	}
}

// OutDir saves the history of each conviction in dir, as JSON Lines and as a
// drawing in HTML. The directory is made when needed.
func OutDir(dir string) Option {
	return func(o *options) error { o.settings.OutDir = dir; return nil }
}

// WriteReport writes the whole report to dir when the judgement is over, passed or
// not: report.json, junit.xml and index.html, and the histories of convictions as
// [OutDir] does. The directory is made when needed.
func WriteReport(dir string) Option {
	return func(o *options) error { o.settings.OutDir, o.reportDir = dir, dir; return nil }
}

// StopAtFirst ends the whole judgement at the first conviction. A case always
// ends at its first.
func StopAtFirst() Option {
	return func(o *options) error { o.stopAtFirst = true; return nil }
}

// CallTimeout sets the deadline in the context of every call; default 10 s. A
// call that has not returned after twice that time is convicted as hanging.
func CallTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return &registry.InvalidError{Field: "call timeout", Problem: fmt.Sprintf("is %v, want more than 0", d)}
		}
		o.settings.CallTimeout = d
		return nil
	}
}

// Progress calls f at the start and end of each case, one call at a time.
func Progress(f func(Event)) Option {
	return func(o *options) error { o.progress = f; return nil }
}

// Reproduce sets how [Judge] writes the line that replays one case with one seed.
func Reproduce(line func(section, name string, seed uint64) string) Option {
	return func(o *options) error { o.settings.Reproduce = line; return nil }
}

// The environment variables by which the line that Run prints replays a case.
const (
	envSeed      = "CONFORM_SEED"
	envHistories = "CONFORM_HISTORIES"
	envLevel     = "CONFORM_LEVEL"
)

const defaultCallTimeout = 10 * time.Second

func newOptions(b Backend, opts []Option) (*options, error) {
	o := &options{
		settings: trial.Settings{Cfg: registry.DefaultConfig(), Level: Default, CallTimeout: defaultCallTimeout},
		seeds:    []uint64{1},
		parallel: runtime.GOMAXPROCS(0),
		progress: func(Event) {},
	}
	o.settings.Reproduce = func(section, name string, seed uint64) string {
		line := fmt.Sprintf("conform run %s --section %s --case %s --seed %d", b.Name(), section, name, seed)
		if o.settings.Level != Default {
			line += " --level " + string(o.settings.Level)
		}
		return line
	}
	for _, set := range opts {
		if err := set(o); err != nil {
			return nil, err
		}
	}
	if rt, ok := b.(RealTime); ok {
		o.settings.Cfg = rt.RealTimeConfig()
	}
	return o, o.selects()
}

// selects objects to a selection of nothing, which would pass without a look.
func (o *options) selects() error {
	for _, s := range sections.All() {
		for _, c := range s.Cases {
			if o.wants(s, c) {
				return nil
			}
		}
	}
	return &registry.InvalidError{Field: "selection", Problem: fmt.Sprintf("has no case: sections %q, cases that match %v", o.sections, o.cases)}
}

// underTest sets what is different in Run, in the test of that name: the level
// under testing.Short, one case at a time, and the line that replays a case.
func (o *options) underTest(name string) error {
	if testing.Short() && !o.levelSet {
		o.settings.Level = Quick
	}
	if !o.parallelSet {
		o.parallel = 1
	}
	o.settings.Reproduce = func(section, c string, seed uint64) string {
		line := fmt.Sprintf("%s=%d %s=1 go test -run '%s'", envSeed, seed, envHistories, exactly(name+"/"+section+"/"+c))
		if o.settings.Level != Default {
			line = fmt.Sprintf("%s=%s %s", envLevel, o.settings.Level, line)
		}
		return line
	}
	return o.fromEnvironment()
}

// fromEnvironment lets the replay line of Run overrule seeds, histories and level.
func (o *options) fromEnvironment() error {
	if s := os.Getenv(envSeed); s != "" {
		seed, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			return &registry.InvalidError{Field: envSeed, Problem: err.Error()}
		}
		o.seeds = []uint64{seed}
	}
	if s := os.Getenv(envHistories); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return &registry.InvalidError{Field: envHistories, Problem: fmt.Sprintf("is %q, want a number", s)}
		}
		o.settings.Histories = n
	}
	if s := os.Getenv(envLevel); s != "" {
		return Level(Effort(s))(o)
	}
	return nil
}

func (o *options) wants(s trial.Section, c trial.Case) bool {
	if len(o.sections) > 0 && !slices.Contains(o.sections, s.Name) {
		return false
	}
	return o.cases == nil || o.cases.MatchString(s.Name+"/"+c.Name)
}

// KeepHistories saves every history that the checker judges in dir, right ones too, as
// JSON Lines: material for other checkers. Their names tell backend, section, case,
// seed and the number of the history in the case. A case whose history cannot be
// written is not decided. The directory is made when needed. Sections that judge each
// answer as it comes record no histories.
func KeepHistories(dir string) Option {
	return func(o *options) error { o.settings.KeepDir = dir; return nil }
}

// Level sets how much the judgement spends; default [Default], and [Quick] in
// [Run] under testing.Short. The cases are the same at every level: it decides
// how many histories they draw, unless [Histories] says so, and how many actors,
// nodes, grants and configurations the large ones go through.
func Level(e Effort) Option {
	return func(o *options) error {
		if !slices.Contains(Efforts(), e) {
			return &registry.InvalidError{Field: "level", Problem: fmt.Sprintf("is %q, want one of %v", e, Efforts())}
		}
		o.settings.Level, o.levelSet = e, true
		return nil
	}
}

// Waive goes on past breaches of these rules, which are known already, so that the
// next mistake is heard. What was waived is in the report: a case in which it
// happened is [Waived], which is no pass.
//
// A lockstep goes on from the state that the backend is in after the breach. A
// concurrent history whose first wrong answer breaks a waived rule is not judged
// any further, since what follows may be its consequence. Anything else that a
// waived breach stops, such as a call that hangs, ends that history only.
func Waive(rules ...RuleID) Option {
	return func(o *options) error {
		for _, id := range rules {
			if id.Rule().ID == "" {
				return &registry.InvalidError{Field: "waive", Problem: fmt.Sprintf("names no rule: %q", id)}
			}
		}
		o.settings.Waived = append(slices.Clone(o.settings.Waived), rules...)
		return nil
	}
}

// exactly turns a test's name into the -run pattern that matches only it.
func exactly(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + p + "$"
	}
	return strings.Join(parts, "/")
}
