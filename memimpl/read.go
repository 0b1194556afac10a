package memimpl

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

// Contents is what a registry's file holds, in the order of the names.
type Contents struct {
	Config  registry.Config
	Nodes   []registry.Node
	Records []registry.Placement
	Floor   registry.Floor // of the actors that have no record

	// Fallen are the actors and nodes whose last value in the file is lower than an
	// earlier one. No registry writes such a file: the last value is what it shows.
	Fallen []Fallen
}

// Fallen is an actor or a node of which a number fell that only grows.
type Fallen struct{ Where, Problem string }

// ReadFile reads the registry's file at path, for operators. It changes nothing and
// takes no lock: it works on a copy, so that a store may have the file open. Then
// the contents are a state that the registry was in. Unlike [New] it does not compare
// what it reads: a record may be held by a node that was never registered.
//
// Errors: [ErrForeign], [ErrFormat], [ErrDamaged], or the operating system's.
func ReadFile(path string) (*Contents, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no regular file (%v)", ErrForeign, info.Mode())
	}
	dir, err := os.MkdirTemp("", "registry-file-")
	if err != nil {
		return nil, fmt.Errorf("%w (TMPDIR says where the copy is made)", err)
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "copy")
	if err := copyFile(path, copied); err != nil {
		return nil, fmt.Errorf("%w (TMPDIR says where the copy is made)", err)
	}
	c := new(Contents)
	var d decoder
	nodes, records := map[registry.NodeID]registry.Node{}, map[registry.ActorID]registry.Placement{}
	highest := newHeights()
	log, err := logfile.Open(logfile.OS{}, copied, 0, logfile.State{
		Check: func(header []byte) (err error) {
			d.version, c.Config, err = decodeHeader(header)
			return err
		},
		Apply: func(batch []byte) error {
			return d.batch(batch, visitor{
				record: func(p registry.Placement) { records[p.Actor] = p; highest.record(p) },
				node:   func(n registry.Node) { nodes[n.Ref.ID] = n; highest.node(n) },
				floor: func(f registry.Floor, forgotten registry.ActorID) {
					c.Floor = c.Floor.Over(f.Token, f.Version)
					delete(records, forgotten)
					highest.forget(f, forgotten)
				},
			})
		},
		Snapshot: func(func([]byte) error) error { return nil }, // the copy is thrown away
	})
	if err != nil {
		return nil, err
	}
	c.Nodes = slices.SortedFunc(maps.Values(nodes), func(a, b registry.Node) int { return cmp.Compare(a.Ref.ID, b.Ref.ID) })
	c.Records = slices.SortedFunc(maps.Values(records), func(a, b registry.Placement) int {
		return cmp.Or(strings.Compare(a.Actor.Namespace, b.Actor.Namespace), strings.Compare(a.Actor.Name, b.Actor.Name))
	})
	c.Fallen = highest.fallen(c)
	return c, log.Close()
}

// heights are the highest numbers that a file has had so far. A value of a compacted file
// may stand before an older one, whose batch came later; but then the newest comes once
// more, so that the last value is never lower than any before it.
type heights struct {
	epochs  map[registry.NodeID]registry.Epoch
	records map[registry.ActorID]registry.Floor // since the actor was last forgotten
	grounds map[registry.ActorID]registry.Floor // the floor that it was last forgotten for
}

func newHeights() heights {
	return heights{map[registry.NodeID]registry.Epoch{}, map[registry.ActorID]registry.Floor{}, map[registry.ActorID]registry.Floor{}}
}

func (h heights) node(n registry.Node) { h.epochs[n.Ref.ID] = max(h.epochs[n.Ref.ID], n.Ref.Epoch) }

func (h heights) record(p registry.Placement) {
	h.records[p.Actor] = h.records[p.Actor].Over(p.Token, p.Version)
}

func (h heights) forget(f registry.Floor, a registry.ActorID) {
	delete(h.records, a)
	h.grounds[a] = h.grounds[a].Over(f.Token, f.Version)
}

// fallen compares what a file shows with the highest that it has had.
func (h heights) fallen(c *Contents) (all []Fallen) {
	add := func(where any, format string, args ...any) {
		all = append(all, Fallen{fmt.Sprint(where), fmt.Sprintf(format, args...)})
	}
	for _, n := range c.Nodes {
		if high := h.epochs[n.Ref.ID]; n.Ref.Epoch < high {
			add(fmt.Sprintf("node %s", n.Ref.ID), "has epoch %d after epoch %d", n.Ref.Epoch, high)
		}
	}
	for _, p := range c.Records {
		if high := h.records[p.Actor]; p.Token < high.Token || p.Version < high.Version {
			add(p.Actor, "has token %d, version %d after token %d, version %d", p.Token, p.Version, high.Token, high.Version)
		}
		if ground, forgotten := h.grounds[p.Actor]; forgotten && (p.Token <= ground.Token || p.Version <= ground.Version) {
			add(p.Actor, "has token %d, version %d, and was forgotten under token %d, version %d", p.Token, p.Version, ground.Token, ground.Version)
		}
	}
	return all
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
