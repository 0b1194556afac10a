// Package memtest makes package memimpl a backend of the conformance suite: in
// memory, and on a file with crashes and restarts. With the build tag "yield"
// the clusters of both are conformance.Scheduled as well.
package memtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl"
)

// Volatile is memimpl in memory, as a backend.
type Volatile struct{}

// Name implements [conformance.Backend].
func (Volatile) Name() string { return "memimpl" }

// New implements [conformance.Backend].
func (Volatile) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := memimpl.New(cfg)
	if err != nil {
		return nil, err
	}
	return &cluster{store: s}, nil
}

// OnFile is memimpl on a file, as a backend whose clusters are
// [conformance.Restarter]. Each cluster has a file of its own, below Dir, which
// is removed when the cluster is closed.
type OnFile struct {
	// Dir is where the files are; "" stands for a file system in memory, where
	// there is one, and else for the directory of temporary files. What a disk
	// does with what it was told to sync, a restart does not show, so that
	// nothing is lost by having none; and a sync costs a thousandth there.
	Dir string
}

// Name implements [conformance.Backend].
func (OnFile) Name() string { return "memimpl-file" }

// inMemory is where Linux has a file system in memory.
const inMemory = "/dev/shm"

// New implements [conformance.Backend].
func (b OnFile) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := newFileCluster(b.Dir, cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func newFileCluster(root string, cfg registry.Config, opts ...memimpl.Option) (*fileCluster, error) {
	if info, err := os.Stat(inMemory); root == "" && err == nil && info.IsDir() {
		root = inMemory
	}
	dir, err := os.MkdirTemp(root, "memimpl-file-")
	if err != nil {
		return nil, err
	}
	c := &fileCluster{dir: dir, cfg: cfg, opts: opts}
	if c.store, err = memimpl.New(cfg, c.options()...); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

// cluster is one store.
type cluster struct{ store *memimpl.Store }

// Open implements [conformance.Cluster].
func (c *cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.store.Open(cfg, clock)
	if err != nil {
		return nil, err // not a nil *Registry in a non-nil interface
	}
	return h, nil
}

// Close implements [conformance.Cluster].
func (c *cluster) Close() error { return c.store.Close() }

// Seed implements [conformance.Seeder].
func (c *cluster) Seed(nodes []registry.Node, records []registry.Placement) error {
	return c.store.Import(context.Background(), nodes, records)
}

// fileCluster is one store after another, each on what the file of the one
// before held when that one was killed.
type fileCluster struct {
	cluster
	dir  string
	cfg  registry.Config
	opts []memimpl.Option // beside the file
	life int
}

func (c *fileCluster) options() []memimpl.Option {
	return append([]memimpl.Option{memimpl.OnFile(c.path())}, c.opts...)
}

var _ conformance.Restarter = (*fileCluster)(nil)

func (c *fileCluster) path() string { return filepath.Join(c.dir, fmt.Sprintf("registry-%d", c.life)) }

// Restart implements [conformance.Restarter]. The next store opens a copy of the
// file, made before the present store is closed: a Close would finish what is
// under way, a kill does not. What was answered must be in the copy; an answer
// given before its change is on the file is thus found out.
//
// The copy is what a process killed at that moment would leave. Calls may be in
// flight; what they answer counts for nothing. A commit only appends to the file and
// marks its end, and a compaction writes another file. The marks are at the file's
// beginning and copied first: the copy holds the state before the commits that end
// meanwhile or after some of them, each whole.
func (c *fileCluster) Restart() error {
	killed := c.path()
	image, err := os.ReadFile(killed)
	if err != nil {
		return err
	}
	c.life++
	if err := os.WriteFile(c.path(), image, 0o600); err != nil {
		return err
	}
	next, err := memimpl.New(c.cfg, c.options()...)
	if err != nil {
		return err
	}
	err = errors.Join(c.store.Close(), os.Remove(killed))
	c.store = next
	return err
}

// Close implements [conformance.Cluster].
func (c *fileCluster) Close() error {
	return errors.Join(c.store.Close(), os.RemoveAll(c.dir))
}
