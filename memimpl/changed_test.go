package memimpl

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/faultfs"
)

// overwrite puts bytes into a file without changing its size.
func overwrite(t *testing.T, path string, at int64, b []byte) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestFileIsChangedWhileOpen: the next commit finds out, is refused with an error
// that says so, and has not happened; from then on nothing is answered, because
// another store may have opened what has the file's name (OnFile's doc).
func TestFileIsChangedWhileOpen(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"removed": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"moved":   func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".old")) },
		"replaced by a copy": func(t *testing.T, path string) {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".copy", content, 0o600))
			require.NoError(t, os.Rename(path+".copy", path))
		},
		"replaced by a directory": func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		},
		"cut to nothing": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) },
		"cut": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(path, info.Size()-1))
		},
		"longer": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 1<<20)) },
		"overwritten by zeros": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			require.NoError(t, err)
			overwrite(t, path, 0, make([]byte, info.Size()))
		},
		"one byte of a record overwritten": func(t *testing.T, path string) { overwrite(t, path, 3*4096+20, []byte{0xff}) },
		"restored from a backup in place": func(t *testing.T, path string) {
			backup, err := os.ReadFile(path + ".backup")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, backup, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "registry")
			s := openStore(t, path, nil)
			h := openHandle(t, s)
			node := mustRegister(t, h, "n1")
			backup, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".backup", backup, 0o600))
			lease := mustClaim(t, h, named("held"), node)

			change(t, path)
			for range 2 {
				_, err := h.Renew(ctx, lease)
				require.ErrorIs(t, err, registry.ErrUnavailable)
				require.NotErrorIs(t, err, registry.ErrAmbiguous)
				require.ErrorIs(t, err, ErrChanged)
			}
			_, _, err = h.Lookup(ctx, named("held"))
			require.ErrorIs(t, err, ErrChanged)
			require.ErrorIs(t, h.Validate(ctx, named("held"), lease.Token), ErrChanged)
			_, _, err = h.ListNodes(ctx, registry.AnyStatus, registry.Page{})
			require.ErrorIs(t, err, ErrChanged)
			_ = s.Close()
		})
	}
}

// TestHarmlessChangesOfTheFile: other names, other permissions, a new time and
// readers do not end a store; nor does what is not the file.
func TestHarmlessChangesOfTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "registry")
	s := openStore(t, path, nil)
	h := openHandle(t, s)
	node := mustRegister(t, h, "n1")
	for name, change := range map[string]func() error{
		"touched":     func() error { return os.Chtimes(path, time.Now(), time.Unix(1, 0)) },
		"linked":      func() error { return os.Link(path, path+".link") },
		"permissions": func() error { return os.Chmod(path, 0o640) },
		"read":        func() error { _, err := os.ReadFile(path); return err },
		"moved and back": func() error {
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			return os.Rename(path+".old", path)
		},
		"a neighbour": func() error { return os.WriteFile(path+".rewrite", []byte("somebody's"), 0o600) },
	} {
		require.NoError(t, change(), name)
		_, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.Supersede)
		require.NoError(t, err, name)
	}
	require.NoError(t, s.Close())
	s = openStore(t, path, nil)
	n, _, err := openHandle(t, s).GetNode(ctx, "n1")
	require.NoError(t, err)
	require.Greater(t, n.Ref.Epoch, node.Epoch)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o640, info.Mode().Perm(), "the fresh file has the permissions of the old one")
	_, err = os.Stat(path + ".rewrite")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestSymbolicLink: it stays a link, two stores cannot come by both of its names,
// and a link that is turned elsewhere is another file's name.
func TestSymbolicLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "registry"), filepath.Join(dir, "link")
	s := openStore(t, target, nil)
	mustRegister(t, openHandle(t, s), "n1")
	require.NoError(t, s.Close())
	require.NoError(t, os.Symlink("registry", link))

	s = openStore(t, link, nil)
	h := openHandle(t, s)
	n, found, err := h.GetNode(ctx, "n1")
	require.NoError(t, err)
	require.True(t, found, n)
	_, err = New(short, OnFile(target), LockTimeout(0))
	require.ErrorIs(t, err, ErrInUse)
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)

	require.NoError(t, os.Remove(link))
	require.NoError(t, os.WriteFile(link, nil, 0o600))
	require.ErrorIs(t, h.Heartbeat(ctx, n.Ref), ErrChanged)
}

// TestAnotherWorkingDirectory: a path that is not absolute is of the directory in
// which the store was opened, wherever the process goes.
func TestAnotherWorkingDirectory(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	t.Chdir(dir)
	on := production
	fs := &replacing{FS: on.fs}
	on.fs, on.step = fs, 1
	s, err := newStore(on, short, []Option{OnFile("registry")})
	require.NoError(t, err)
	t.Chdir(elsewhere)
	h := openHandle(t, s)
	node := mustRegister(t, h, "n1")
	for i := 0; fs.times.Load() < 3; i++ { // until it was compacted
		mustClaim(t, h, named(fmt.Sprint(i)), node)
	}
	require.NoError(t, s.Close())
	left, err := os.ReadDir(elsewhere)
	require.NoError(t, err)
	require.Empty(t, left)
	_, found, err := openHandle(t, openStore(t, filepath.Join(dir, "registry"), nil)).GetNode(ctx, "n1")
	require.NoError(t, err)
	require.True(t, found)
}

// TestManyOpenOneFile: of stores that are opened at once, one gets the file, whether
// or not it is there already, and nobody's change is lost.
func TestManyOpenOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	var epoch registry.Epoch
	for range 10 {
		var opened atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := New(short, OnFile(path), LockTimeout(0))
				if err != nil {
					assert.ErrorIs(t, err, ErrInUse)
					return
				}
				// Whoever comes while this one is open must be refused; who comes later is next.
				defer func() { assert.NoError(t, s.Close()) }()
				assert.EqualValues(t, 1, opened.Add(1))
				h := openHandle(t, s)
				n, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.Supersede)
				assert.NoError(t, err)
				assert.Equal(t, epoch+1, n.Ref.Epoch)
				epoch = n.Ref.Epoch
				opened.Add(-1)
			})
		}
		wg.Wait()
	}
	require.Positive(t, epoch)
}

// TestWaitingForTheFile: a store that waits gets the file when the other is closed.
func TestWaitingForTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	first := openStore(t, path, nil)
	opened := make(chan error)
	go func() {
		s, err := New(short, OnFile(path), LockTimeout(time.Hour))
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	require.NoError(t, first.Close())
	require.NoError(t, <-opened)
}

// TestRefusedRegistrationLeavesNothing: neither one that the file refuses nor one
// whose commit is taken back keeps its name in memory.
func TestRefusedRegistrationLeavesNothing(t *testing.T) {
	d := faultfs.New()
	s, err := onFaults(t, d)
	require.NoError(t, err)
	h := openHandle(t, s)
	node := mustRegister(t, h, "n1")
	failing := "write"
	d.Plan = func(c faultfs.Call) faultfs.Fault {
		if c.Name == failing {
			return faultfs.ENOSPC
		}
		return faultfs.None
	}
	for i := range 100 {
		_, err := h.RegisterNode(ctx, registry.NodeID(fmt.Sprint("new", i)), registry.NodeInfo{}, registry.IfAbsent)
		require.ErrorIs(t, err, syscall.ENOSPC)
		_, err = h.Claim(ctx, named(fmt.Sprint(i)), node, registry.ClaimID{1})
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
	require.Equal(t, 1, s.nodes.byID.live)
	for i := range s.shards {
		require.Zero(t, s.shards[i].records.live)
		require.True(t, s.shards[i].index().empty())
	}
	failing = "sync"
	_, err = h.RegisterNode(ctx, "uncertain", registry.NodeInfo{}, registry.IfAbsent)
	require.ErrorIs(t, err, registry.ErrAmbiguous)
	for i := range 100 { // refused before it is staged
		_, err := h.RegisterNode(ctx, registry.NodeID(fmt.Sprint("new", i)), registry.NodeInfo{}, registry.IfAbsent)
		require.ErrorIs(t, err, registry.ErrUnavailable)
	}
	require.Equal(t, 2, s.nodes.byID.live)
}

// TestLargeBatchHoldsUpNobody: who comes while many leases are renewed as one batch
// waits behind a part of it.
func TestLargeBatchHoldsUpNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	var g *gate
	s := openStore(t, path, func(d disk) disk { g = newGate(d); return g })
	t.Cleanup(func() { close(g.gone) })
	h := openHandle(t, s)
	go g.pass(2)
	node := mustRegister(t, h, "n1")
	lease := mustClaim(t, h, named("held"), node)
	renewals := make([]registry.Lease, 3*renewChunk)
	for i := range renewals {
		renewals[i] = lease
	}
	batch := make(chan []registry.Renewal)
	go func() { batch <- h.RenewBatch(ctx, renewals) }()
	staged := 0
	for staged < renewChunk { // the first part, in as many commits as the scheduler makes of it
		staged += <-g.arrived
		if staged < renewChunk {
			g.outcome <- nil
		}
	}
	require.Equal(t, renewChunk, staged, "the second part is staged before the first is on the file")
	claimed := make(chan error)
	go func() { _, err := h.Claim(ctx, named("free"), node, registry.ClaimID{1}); claimed <- err }()
	for n := 0; n == 0; {
		s.journal.mu.Lock()
		n = len(s.journal.open.changes)
		s.journal.mu.Unlock()
	}
	g.outcome <- nil
	first := <-g.arrived
	g.outcome <- nil
	require.NoError(t, <-claimed)
	require.LessOrEqual(t, first, renewChunk+1)
	go func() {
		for {
			select {
			case <-g.arrived:
				g.outcome <- nil
			case <-g.gone:
				return
			}
		}
	}()
	results := <-batch
	require.Len(t, results, len(renewals))
	for i, r := range results {
		require.NoError(t, r.Err)
		require.Equal(t, lease.Version+registry.Version(i)+1, r.Lease.Version)
	}
}
