package logfile_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/memimpl/internal/faultfs"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

// onCall does something before the n'th call of that name from now on, in place of
// somebody else whom chance brings there.
func onCall(d *faultfs.Disk, name string, n int, do func()) {
	d.Plan = func(c faultfs.Call) faultfs.Fault {
		if c.Name == name {
			if n--; n == 0 {
				do()
			}
		}
		return faultfs.None
	}
}

func newUser(t *testing.T, d *faultfs.Disk) *user {
	u := &user{known: &known{}}
	var err error
	u.log, err = u.state.open(d.Mount())
	require.NoError(t, err)
	return u
}

// TestChangedDuringACommit: a file that is not the log's any more when the batch is
// on the disk is no place for an acknowledgement; whether the batch is part of what
// others open, only they know.
func TestChangedDuringACommit(t *testing.T) {
	for name, change := range map[string]func(d *faultfs.Disk){
		"removed":  func(d *faultfs.Disk) { d.Delete(path) },
		"replaced": func(d *faultfs.Disk) { d.Write(path, d.Read(path), false) },
		"locked":   func(d *faultfs.Disk) { d.Steal(path) },
		"cut":      func(d *faultfs.Disk) { d.Write(path, d.Read(path)[:12288], true) },
	} {
		d := faultfs.New()
		u := newUser(t, d)
		onCall(d, "sync", 1, func() { change(d) })
		err := u.log.Append([]byte("word"))
		require.ErrorIs(t, err, logfile.ErrUncertain, name)
		require.ErrorIs(t, err, logfile.ErrChanged, name)
		err = u.log.Append([]byte("word"))
		require.Error(t, err, name)
		require.NotErrorIs(t, err, logfile.ErrUncertain, name)
	}
}

// TestChangedBeforeACommit: it is refused, has not happened, and is refused from
// then on, whatever becomes of the file.
func TestChangedBeforeACommit(t *testing.T) {
	for name, change := range map[string]func(d *faultfs.Disk){
		"removed":     func(d *faultfs.Disk) { d.Move(path, path+".old") },
		"replaced":    func(d *faultfs.Disk) { d.Move(path, path+".old"); d.Write(path, d.Read(path+".old"), false) },
		"locked":      func(d *faultfs.Disk) { d.Steal(path) },
		"cut":         func(d *faultfs.Disk) { d.Write(path, d.Read(path)[:12288], true) },
		"overwritten": func(d *faultfs.Disk) { d.Write(path, make([]byte, len(d.Read(path))), true) },
	} {
		d := faultfs.New()
		u := newUser(t, d)
		u.append()
		change(d)
		for range 2 {
			err := u.log.Append([]byte("word"))
			require.ErrorIs(t, err, logfile.ErrChanged, name)
			require.NotErrorIs(t, err, logfile.ErrUncertain, name)
			if d.Read(path+".old") != nil {
				d.Move(path+".old", path)
			}
		}
	}
}

// TestOlderStateInPlace: an older state of the log, as long as the newer one and
// whole, is written over the file.
func TestOlderStateInPlace(t *testing.T) {
	d := faultfs.New()
	u := newUser(t, d)
	require.NoError(t, u.log.Append([]byte("one")))
	older := d.Read(path)
	r, err := u.log.Rewrite()
	require.NoError(t, err)
	require.NoError(t, r.Append([]byte("two")))
	require.NoError(t, u.log.Replace(r))
	require.Len(t, d.Read(path), len(older))
	d.Write(path, older, true)
	require.ErrorIs(t, u.log.Append([]byte("word")), logfile.ErrChanged)
}

// TestTouched: a new time alone is looked into and is no change.
func TestTouched(t *testing.T) {
	d := faultfs.New()
	u := newUser(t, d)
	u.append()
	d.Write(path, d.Read(path), true)
	u.append()
	require.Len(t, u.known.must, 2)
}

// TestChangedDuringACompaction: a log that has lost its file does not get one by
// compaction, nor does it acknowledge into a fresh one that was removed.
func TestChangedDuringACompaction(t *testing.T) {
	for _, call := range []string{"sync", "syncdir"} {
		d := faultfs.New()
		u := newUser(t, d)
		u.append()
		onCall(d, call, 1, func() { d.Delete(path) })
		u.rewrite(0)
		require.ErrorIs(t, u.log.Append([]byte("word")), logfile.ErrChanged, call)
	}
}

// TestReplacedBeforeItIsReplaced: neither a compaction nor an opening puts its fresh
// file in the place of a file that is not the one it read.
func TestReplacedBeforeItIsReplaced(t *testing.T) {
	d := faultfs.New()
	u := newUser(t, d)
	u.append()
	r, err := u.log.Rewrite()
	require.NoError(t, err)
	require.NoError(t, u.state.snapshot(r.Append))
	d.Write(path, []byte("theirs"), false)
	require.ErrorIs(t, u.log.Replace(r), logfile.ErrChanged)
	require.NoError(t, u.log.Discard(r))
	require.Equal(t, "theirs", string(d.Read(path)))
	require.Equal(t, []string{path}, d.Names())

	d = faultfs.New()
	require.NoError(t, newUser(t, d).log.Close())
	onCall(d, "create", 1, func() { d.Write(path, []byte("theirs"), false) })
	_, err = new(items).open(d.Mount())
	require.ErrorIs(t, err, logfile.ErrChanged)
	require.Equal(t, "theirs", string(d.Read(path)))
	require.Equal(t, []string{path}, d.Names())
}

// TestFreshFileIsChanged: what somebody puts in place of the fresh file does not get
// the log's name, and stays; the log goes on without compaction.
func TestFreshFileIsChanged(t *testing.T) {
	for _, theirs := range []string{"", "theirs"} {
		d := faultfs.New()
		u := newUser(t, d)
		u.append()
		before := d.Read(path)
		onCall(d, "sync", 3, func() { // the one before the rename
			d.Delete(path + logfile.FreshSuffix)
			if theirs != "" {
				d.Write(path+logfile.FreshSuffix, []byte(theirs), false)
			}
		})
		u.rewrite(0)
		u.append()
		require.Len(t, u.known.must, 3)
		require.Equal(t, theirs, string(d.Read(path+logfile.FreshSuffix)))
		require.Equal(t, before[:4096], d.Read(path)[:4096])
		u = &user{known: u.known}
		if _, err := u.state.open(d.Mount()); err == nil {
			require.NoError(t, u.known.check(u.state.list))
		}
	}
}

// TestLeftover: a crash left a fresh file, longer than the state is now. It is used up.
func TestLeftover(t *testing.T) {
	d := faultfs.New()
	u := newUser(t, d)
	u.append()
	leftover := append(d.Read(path), make([]byte, 5000)...)
	d.Write(path+logfile.FreshSuffix, leftover, false)
	u.rewrite(0)
	u.append()
	require.Empty(t, u.known.may)
	require.NoError(t, u.log.Close())
	d.Write(path+logfile.FreshSuffix, leftover, false)
	for range 2 {
		u = &user{known: u.known}
		var err error
		u.log, err = u.state.open(d.Mount())
		require.NoError(t, err)
		require.NoError(t, u.known.check(u.state.list))
		u.append()
		require.Empty(t, u.known.may)
	}
	require.Len(t, u.known.must, 5)
	require.Equal(t, []string{path}, d.Names())
}

// TestReplacedWhileItIsOpened: whoever opens a file that is replaced before it is
// locked opens the one that has its name.
func TestReplacedWhileItIsOpened(t *testing.T) {
	d := faultfs.New()
	u := newUser(t, d)
	u.append()
	require.NoError(t, u.log.Close())
	older := d.Read(path)
	u = &user{known: u.known}
	var err error
	u.log, err = u.state.open(d.Mount())
	require.NoError(t, err)
	u.append()
	require.NoError(t, u.log.Close())
	newer := d.Read(path)

	d.Write(path, older, false)
	onCall(d, "lock", 1, func() { d.Write(path, newer, false) })
	u = &user{known: u.known}
	u.log, err = u.state.open(d.Mount())
	require.NoError(t, err)
	require.NoError(t, u.known.check(u.state.list))
}

// TestCreatedByTwo: a log that somebody else creates meanwhile is opened.
func TestCreatedByTwo(t *testing.T) {
	elsewhere := faultfs.New()
	other := newUser(t, elsewhere)
	other.append()
	require.NoError(t, other.log.Close())

	for _, call := range []string{"create", "sync"} {
		d := faultfs.New()
		onCall(d, call, 1, func() { d.Write(path, elsewhere.Read(path), false) })
		u := &user{known: other.known}
		var err error
		u.log, err = u.state.open(d.Mount())
		require.NoError(t, err)
		require.NoError(t, u.known.check(u.state.list), call)
		require.Equal(t, []string{path}, d.Names())
	}
}

// TestRenameThatFails: what has the name tells whether it was done, and the log goes
// on with that file.
func TestRenameThatFails(t *testing.T) {
	for _, fault := range []faultfs.Fault{faultfs.Done, faultfs.EIO} {
		d := faultfs.New()
		u := newUser(t, d)
		u.append()
		d.Plan = func(c faultfs.Call) faultfs.Fault {
			if c.Name == "rename" {
				return fault
			}
			return faultfs.None
		}
		u.rewrite(1)
		u.append()
		require.Len(t, u.known.must, 4, "%v", fault)
		require.Equal(t, []string{path}, d.Names())
		d.Plan = nil
		lostPower("nothing written")(d)
		u = &user{known: u.known}
		_, err := u.state.open(d.Mount())
		require.NoError(t, err)
		require.NoError(t, u.known.check(u.state.list), "%v", fault)
	}
}
