package schedule

import (
	"slices"

	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/linearizability"
)

// Explore executes every schedule of every situation within the bound of
// preemptions, the one that the seed names first. Situations with operations that the
// backend does not have are left out.
func Explore(t *trial.Trial, all []Situation, bound int) {
	all = slices.DeleteFunc(slices.Clone(all), func(s Situation) bool {
		return slices.ContainsFunc(s.group, func(who string) bool { return !Offered(t, who) })
	})
	t.Schedules = report.ScheduleCoverage{Situations: len(all), Preemptions: bound, Points: map[string]int{}}
	if n := t.Seed >> 24; n > 0 {
		i, taken := numbered(len(all), n)
		runSchedule(t, all, i, taken)
	}
	for i := range all {
		for taken, more := []int(nil), true; more; {
			taken, more = next(runSchedule(t, all, i, taken), bound)
		}
		if t.Ctx.Err() != nil {
			t.GiveUp("the judgement was ended before")
		}
	}
	if len(t.Schedules.Points) == 0 {
		t.GiveUp("no operation reached a yield point")
	}
}

// runSchedule executes one schedule, judges its history and returns its decisions.
// Where the store's own trouble ended a call early, the history is judged all the
// same, and the schedule is executed again: its decisions would not be those of
// the calls. Trouble that comes every time, and at the same place, is the schedule's doing,
// as the conflict is of a store that tries only so often.
func runSchedule(t *trial.Trial, all []Situation, i int, taken []int) []decision {
	var path []decision
	same := 0
	var last error
	for range call.PatientAttempts {
		p, err := newScheduleRun(t, all[i])
		if last = err; err != nil {
			continue
		}
		before := t.Troubles.Load()
		p.run(taken)
		judgeSchedule(t, all, i, p)
		if same++; !slices.Equal(choices(path), choices(p.path)) {
			same = 1
		}
		path = p.path
		if t.Troubles.Load() == before || same == everyTime || slices.Contains(all[i].group, EndsFirst) { // there a call ends early by the schedule's own doing
			break
		}
	}
	if path == nil {
		t.GiveUp("a schedule of situation %v could not be prepared: %v", all[i], last)
	}
	t.Schedules.Schedules++
	return path
}

// everyTime is how often in a row a schedule has to go the same way for its trouble to be
// its own.
const everyTime = 4

// judgeSchedule checks the history of a schedule that was executed.
func judgeSchedule(t *trial.Trial, all []Situation, i int, p *scheduleRun) {
	h := p.end()
	res := t.Check(h)
	switch res.Verdict {
	case linearizability.OK:
	case linearizability.Illegal:
		t.ConvictedAt = t.Executed.Load()
		seed := t.Seed&(1<<24-1) + number(len(all), i, choices(p.path))<<24
		c := t.Explain(seed, h, res)
		c.History += "\n" + p.text()
		panic(trial.Outcome{Conviction: c})
	default:
		t.GiveUp("a history of situation %v was not decided: %s", all[i], res.Reason)
	}
}
