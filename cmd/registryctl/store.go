package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/audit"
	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/kelpie-registry/registry/memimpl"
)

// store is a registry as its operator sees it.
type store interface {
	Config(ctx context.Context) (registry.Config, error)
	Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error)
	Nodes(ctx context.Context, visit func(registry.Node) error) error
	Records(ctx context.Context, visit func(registry.Placement) error) error
	HeldBy(ctx context.Context, node registry.NodeRef, visit func(registry.Placement) error) error
	// Watch returns the record as soon as its version is another one.
	Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error)
	Verify(ctx context.Context, found func(audit.Finding), seen func(int)) error
	// Floor is that of the actors without a record.
	Floor(ctx context.Context) (registry.Floor, error)
	// Import asks for the floor when it has read the rest.
	Import(ctx context.Context, cfg registry.Config, nodes iter.Seq2[registry.Node, error], records iter.Seq2[registry.Placement, error], floor func() registry.Floor) error
	ForceRelease(ctx context.Context, actor registry.ActorID, token registry.Token) (registry.Placement, error)
}

// open returns the store that the flags name, and what closes it.
func (t *tool) open() (store, func(), error) {
	switch {
	case t.file != "" && t.fdb.named():
		return nil, nil, usage.Errorf("--file and a cluster are named: one store at a time")
	case t.file != "":
		return &fileStore{path: t.file}, func() {}, nil
	default:
		return t.fdb.open()
	}
}

// fileStore is memimpl's file. It is read into memory whole, once.
type fileStore struct {
	path string
	read *memimpl.Contents
}

func (s *fileStore) contents() (*memimpl.Contents, error) {
	var err error
	if s.read == nil {
		s.read, err = memimpl.ReadFile(s.path)
	}
	var named *fs.PathError
	if err != nil && !errors.As(err, &named) {
		err = fmt.Errorf("%s: %w", s.path, err)
	}
	return s.read, err
}

func (s *fileStore) Config(context.Context) (registry.Config, error) {
	c, err := s.contents()
	if err != nil {
		return registry.Config{}, err
	}
	return c.Config, nil
}

func (s *fileStore) Lookup(_ context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	c, err := s.contents()
	if err != nil {
		return registry.Placement{}, false, err
	}
	i := slices.IndexFunc(c.Records, func(p registry.Placement) bool { return p.Actor == actor })
	if i < 0 {
		return registry.Placement{}, false, nil
	}
	return c.Records[i], true, nil
}

func (s *fileStore) Nodes(ctx context.Context, visit func(registry.Node) error) error {
	c, err := s.contents()
	if err != nil {
		return err
	}
	return each(ctx, c.Nodes, visit)
}

func (s *fileStore) Records(ctx context.Context, visit func(registry.Placement) error) error {
	c, err := s.contents()
	if err != nil {
		return err
	}
	return each(ctx, c.Records, visit)
}

func (s *fileStore) HeldBy(ctx context.Context, node registry.NodeRef, visit func(registry.Placement) error) error {
	return s.Records(ctx, func(p registry.Placement) error {
		if p.Holder != node {
			return nil
		}
		return visit(p)
	})
}

// Watch reads the file again and again: another process writes it.
func (s *fileStore) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	for {
		s.read = nil
		p, _, err := s.Lookup(ctx, actor)
		if err != nil || p.Version != seen {
			return p, err
		}
		select {
		case <-ctx.Done():
			return registry.Placement{}, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (s *fileStore) Verify(ctx context.Context, found func(audit.Finding), seen func(int)) error {
	c, err := s.contents()
	if errors.Is(err, memimpl.ErrDamaged) || errors.Is(err, memimpl.ErrForeign) || errors.Is(err, memimpl.ErrFormat) {
		found(audit.Finding{Kind: audit.Unreadable, Where: s.path, Problem: strings.TrimPrefix(err.Error(), s.path+": ")})
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range c.Fallen {
		found(audit.Finding{Kind: audit.Fallen, Where: f.Where, Problem: f.Problem})
	}
	nodes := map[registry.NodeID]registry.Node{}
	report := func(fs []audit.Finding) {
		for _, f := range fs {
			found(f)
		}
	}
	for i, n := range c.Nodes {
		nodes[n.Ref.ID] = n
		report(audit.Node(n))
		seen(i + 1)
	}
	for i, p := range c.Records {
		report(append(audit.Record(p), audit.Holder(p, nodes[p.Holder.ID])...))
		seen(len(c.Nodes) + i + 1)
	}
	return ctx.Err()
}

func (s *fileStore) Floor(context.Context) (registry.Floor, error) {
	s.read = nil // no record that is missing above was forgotten later
	c, err := s.contents()
	if err != nil {
		return registry.Floor{}, err
	}
	return c.Floor, nil
}

// Import makes the file elsewhere first: an import that fails leaves nothing.
func (s *fileStore) Import(ctx context.Context, cfg registry.Config, nodes iter.Seq2[registry.Node, error], records iter.Seq2[registry.Placement, error], floor func() registry.Floor) error {
	if err := s.absent(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(s.path), ".import-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "registry")
	if err := importInto(ctx, made, cfg, nodes, records, floor); err != nil {
		return err
	}
	if err := cmp.Or(ctx.Err(), s.absent()); err != nil {
		return err
	}
	if err := os.Rename(made, s.path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(s.path))
}

func (s *fileStore) absent() error {
	if _, err := os.Lstat(s.path); err == nil {
		return usage.Errorf("%s exists: import makes a registry where there is none", s.path)
	}
	return nil
}

// syncFolder puts the names in a folder on the disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// importInto makes a registry at path, which is whole when it returns nil.
func importInto(ctx context.Context, path string, cfg registry.Config, nodes iter.Seq2[registry.Node, error], records iter.Seq2[registry.Placement, error], floor func() registry.Floor) error {
	st, err := memimpl.New(cfg, memimpl.OnFile(path))
	if err != nil {
		return err
	}
	defer st.Close()
	for n, err := range nodes {
		if err == nil {
			err = st.Import(ctx, []registry.Node{n}, nil)
		}
		if err != nil {
			return err
		}
	}
	for p, err := range records {
		if err == nil {
			err = st.Import(ctx, nil, []registry.Placement{p})
		}
		if err != nil {
			return err
		}
	}
	if f := floor(); f != (registry.Floor{}) {
		if err := st.ImportFloor(ctx, f); err != nil {
			return err
		}
	}
	return st.Close()
}

func (*fileStore) ForceRelease(context.Context, registry.ActorID, registry.Token) (registry.Placement, error) {
	return registry.Placement{}, usage.Errorf("a file has one owner: stop it, and its leases lapse")
}

func each[T any](ctx context.Context, items []T, visit func(T) error) error {
	for _, item := range items {
		if err := visit(item); err != nil {
			return err
		}
	}
	return ctx.Err()
}
