package logfile_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry/memimpl/internal/faultfs"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

const path = "dir/registry"

// items is a state: words, of which a batch adds one and a snapshot has all.
type items struct{ list []string }

func (s *items) open(fs logfile.FS) (*logfile.Log, error) {
	s.list = nil
	return logfile.Open(fs, path, 0, logfile.State{
		Header: []byte("header"),
		Check: func(header []byte) error {
			if string(header) != "header" {
				return errors.New("another header")
			}
			return nil
		},
		Apply: func(batch []byte) error {
			s.list = append(s.list, strings.Fields(string(batch))...)
			return nil
		},
		Snapshot: s.snapshot,
	})
}

func (s *items) snapshot(emit func([]byte) error) error {
	for part := range slices.Chunk(s.list, 3) {
		if err := emit([]byte(strings.Join(part, " "))); err != nil {
			return err
		}
	}
	return nil
}

// known is what has been told of the log to those who use it: the contract that
// every opening is held to (Durability; contract, section 4).
type known struct {
	must []string // acknowledged, or shown after an opening
	may  []string // at most one more, whose outcome is unknown
	next int
}

func (k *known) check(shown []string) error {
	if !slices.Equal(shown, k.must) && !slices.Equal(shown, slices.Concat(k.must, k.may)) {
		return fmt.Errorf("shows %q, must show %q and may show %q after it", shown, k.must, k.may)
	}
	k.must, k.may = slices.Clone(shown), nil
	return nil
}

// user is a process that uses the log, until it dies or can go on no more.
type user struct {
	state items
	known *known
	log   *logfile.Log
}

// append adds a word. The batch is padded so that some end sectors and some span two.
func (u *user) append() {
	u.known.next++
	word := fmt.Sprintf("%d-%s", u.known.next, strings.Repeat("x", u.known.next*97%400))
	switch err := u.log.Append([]byte(word)); {
	case err == nil:
		u.state.list = append(u.state.list, word)
		u.known.must = append(u.known.must, word)
	case errors.Is(err, logfile.ErrUncertain):
		u.known.may = []string{word}
	}
}

// rewrite compacts the log; what is appended meanwhile is in it too.
func (u *user) rewrite(meanwhile int) {
	r, err := u.log.Rewrite()
	if err != nil {
		return
	}
	shown := items{slices.Clone(u.state.list)}
	for range meanwhile {
		u.append()
	}
	if err = shown.snapshot(r.Append); err == nil {
		err = r.CatchUp()
	}
	u.append()
	if err == nil {
		err = u.log.Replace(r)
	}
	if err != nil {
		_ = u.log.Discard(r)
	}
}

// life is what one process does, and how it ends.
type life struct {
	do  func(u *user)
	end func(d *faultfs.Disk)
}

func killed(d *faultfs.Disk) { d.Kill() }

func lostPower(name string) func(d *faultfs.Disk) {
	return func(d *faultfs.Disk) { d.PowerLoss(faultfs.Losses()[name]) }
}

// script is several lives on one disk: commits, a compaction with commits beside
// it, a clean end and others.
var script = []life{
	{func(u *user) { u.append(); u.append() }, killed},
	{func(u *user) { u.append(); u.rewrite(1); u.append(); _ = u.log.Close() }, lostPower("odd sectors")},
	{func(u *user) { u.append() }, killed},
}

// shortScript is for two faults.
var shortScript = []life{
	{func(u *user) { u.append() }, killed},
	{func(u *user) { u.rewrite(1); u.append() }, killed},
}

// play carries out lives under a plan of faults. A life that cannot open the log is
// over, and so is every life at the end of what it does.
func play(lives []life, eager bool, plan func(faultfs.Call) faultfs.Fault) (*faultfs.Disk, *known, error) {
	d, k := faultfs.New(), &known{}
	d.Plan, d.Eager = plan, eager
	for _, l := range lives {
		u, err := &user{known: k}, error(nil)
		if u.log, err = u.state.open(d.Mount()); err == nil {
			if err := k.check(u.state.list); err != nil {
				return nil, nil, err
			}
			l.do(u)
		}
		l.end(d)
	}
	d.Plan = nil
	return d, k, nil
}

// judge ends the last life, opens the log without a fault and checks what it shows;
// and once more after a power loss that takes whatever was not synced.
func judge(d *faultfs.Disk, k known, end func(d *faultfs.Disk)) (err error) {
	d = d.Clone()
	end(d)
	for range 2 {
		u := &user{known: &k}
		if u.log, err = u.state.open(d.Mount()); err != nil {
			return fmt.Errorf("the last opening: %w", err)
		}
		if err := k.check(u.state.list); err != nil {
			return fmt.Errorf("the last opening: %w", err)
		}
		if u.append(); len(k.must) != len(u.state.list) || len(k.may) > 0 {
			return errors.New("the last process cannot append")
		}
		lostPower("nothing written")(d)
	}
	return nil
}

// trace returns the calls of a run under a plan.
func trace(lives []life, plan func(faultfs.Call) faultfs.Fault) []faultfs.Call {
	var calls []faultfs.Call
	_, _, _ = play(lives, false, func(c faultfs.Call) faultfs.Fault { calls = append(calls, c); return plan(c) })
	return calls
}

func noFault(faultfs.Call) faultfs.Fault { return faultfs.None }

type placed struct {
	call  int
	fault faultfs.Fault
}

func at(faults ...placed) func(faultfs.Call) faultfs.Fault {
	return func(c faultfs.Call) faultfs.Fault {
		for _, f := range faults {
			if f.call == c.Number {
				return f.fault
			}
		}
		return faultfs.None
	}
}

// ends is how the last life ends before the opening that is judged.
func ends() map[string]func(d *faultfs.Disk) {
	all := map[string]func(d *faultfs.Disk){"killed": killed}
	for name := range faultfs.Losses() {
		all[name] = lostPower(name)
	}
	return all
}

// TestOneFault places every fault at every call of the script, and ends it in every
// way: what was acknowledged or shown is there, what was refused is not, and the
// log can be opened (Durability; contract, section 4).
func TestOneFault(t *testing.T) {
	var runs int
	calls := trace(script, noFault)
	for _, c := range calls {
		for _, f := range c.Faults() {
			for _, eager := range []bool{false, true} {
				d, k, err := play(script, eager, at(placed{c.Number, f}))
				require.NoError(t, err, "%v of %v, eager: %v", f, c, eager)
				for name, end := range ends() {
					require.NoError(t, judge(d, *k, end), "%v of %v, eager: %v, then %s", f, c, eager, name)
				}
				runs++
			}
		}
	}
	t.Logf("%d runs, every fault at each of %d calls, with %d ends each", runs, len(calls), len(ends()))
}

// TestTwoFaults places every pair of faults, where the second may meet whatever
// the first led to. Faults that are alike for the log stand for each other, see
// faultsOfPairs. In a short test the second is placed at some of the calls.
func TestTwoFaults(t *testing.T) {
	apart := stride
	if testing.Short() {
		apart = max(apart, 7)
	}
	var runs atomic.Int64
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, first := range trace(shortScript, noFault) {
		for _, f := range faultsOfPairs(first) {
			group.Go(func() error {
				one := placed{first.Number, f}
				for _, second := range trace(shortScript, at(one))[first.Number:] {
					if second.Number%apart != 0 {
						continue
					}
					for _, g := range faultsOfPairs(second) {
						if err := pair(one, placed{second.Number, g}); err != nil {
							return fmt.Errorf("%v of %v and %v of %v: %w", f, first, g, second, err)
						}
						runs.Add(1)
					}
				}
				return nil
			})
		}
	}
	require.NoError(t, group.Wait())
	t.Logf("%d runs with %d ends each", runs.Load(), len(endsOfPairs))
}

var endsOfPairs = []string{"nothing written", "odd sectors", "names and sizes"}

func pair(one, two placed) error {
	d, k, err := play(shortScript, (one.call+two.call)%2 == 0, at(one, two))
	if err != nil {
		return err
	}
	for _, end := range endsOfPairs {
		if err := judge(d, *k, lostPower(end)); err != nil {
			return fmt.Errorf("then %s: %w", end, err)
		}
	}
	return nil
}

// faultsOfPairs leaves out faults of which another is the same for all that comes
// after: EINTR and short transfers are repeated, ENOSPC is EIO, and to die when a
// call is done is to die before the next.
func faultsOfPairs(c faultfs.Call) []faultfs.Fault {
	return slices.DeleteFunc(c.Faults(), func(f faultfs.Fault) bool {
		return f == faultfs.EINTR || f == faultfs.Short || f == faultfs.ENOSPC || f == faultfs.KillDone
	})
}

// TestInterruptsAndShortTransfersAreRepeated: they change no answer.
func TestInterruptsAndShortTransfersAreRepeated(t *testing.T) {
	for _, f := range []faultfs.Fault{faultfs.EINTR, faultfs.Short} {
		d, k := faultfs.New(), &known{}
		n := 0
		d.Plan = func(c faultfs.Call) faultfs.Fault {
			if n++; n%2 == 1 && slices.Contains(c.Faults(), f) {
				return f
			}
			return faultfs.None
		}
		for range 2 {
			u := &user{known: k}
			var err error
			u.log, err = u.state.open(d.Mount())
			require.NoError(t, err, f)
			require.NoError(t, k.check(u.state.list))
			before := len(k.must)
			u.append()
			u.rewrite(1)
			require.Len(t, k.must, before+3, "a commit failed because of %v", f)
			require.NoError(t, u.log.Close())
		}
	}
}

// TestDiskThatLies: a sync that succeeds and writes nothing takes away what no
// store can keep. What is shown afterwards is a whole older state, or nothing.
func TestDiskThatLies(t *testing.T) {
	var refused, older int
	for _, c := range trace(script, noFault) {
		if c.Name != "sync" {
			continue
		}
		d, k, err := play(script, false, at(placed{c.Number, faultfs.Lie}))
		if err != nil { // within the script
			require.ErrorContains(t, err, "must show")
			older++
			continue
		}
		for name, end := range ends() {
			d, u := d.Clone(), &user{}
			end(d)
			_, err := u.state.open(d.Mount())
			if err != nil {
				require.ErrorIs(t, err, logfile.ErrDamaged, "%v, then %s", c, name)
				refused++
				continue
			}
			all := slices.Concat(k.must, k.may)
			require.Equal(t, all[:min(len(all), len(u.state.list))], u.state.list, "%v, then %s", c, name)
			if len(u.state.list) < len(k.must) {
				older++
			}
		}
	}
	t.Logf("refused %d times, an older state %d times", refused, older)
}

// TestFullDisk: commits are refused while there is no space, have not happened, and
// go on as soon as there is some.
func TestFullDisk(t *testing.T) {
	for _, fault := range []faultfs.Fault{faultfs.ENOSPC, faultfs.Torn, faultfs.Done} {
		d, k := faultfs.New(), &known{}
		u := &user{known: k}
		var err error
		u.log, err = u.state.open(d.Mount())
		require.NoError(t, err)
		u.append()
		d.Plan = func(c faultfs.Call) faultfs.Fault {
			if c.Name == "write" {
				return fault
			}
			return faultfs.None
		}
		for range 3 {
			err := u.log.Append([]byte("refused"))
			require.Error(t, err)
			require.NotErrorIs(t, err, logfile.ErrUncertain)
			if fault == faultfs.ENOSPC {
				require.ErrorIs(t, err, syscall.ENOSPC)
			}
			_, err = u.log.Rewrite()
			require.Error(t, err)
			require.Equal(t, []string{path}, d.Names(), "the fresh file is left behind")
		}
		d.Plan = nil
		u.append()
		require.Len(t, k.must, 2, "the store goes on")
		for _, name := range slices.Sorted(maps.Keys(faultfs.Losses())) {
			u = &user{known: k}
			lostPower(name)(d)
			u.log, err = u.state.open(d.Mount())
			require.NoError(t, err)
			require.NoError(t, k.check(u.state.list))
		}
	}
}
