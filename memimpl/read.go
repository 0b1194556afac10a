package memimpl

import (
	"cmp"
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
}

// ReadFile reads the registry's file at path, for operators. It changes nothing and
// takes no lock: it works on a copy, so that a store may have the file open. Then
// the contents are a state that the registry was in. Unlike [New] it does not compare
// what it reads: a record may be held by a node that was never registered.
//
// Errors: [ErrForeign], [ErrFormat], [ErrDamaged], or the operating system's.
func ReadFile(path string) (*Contents, error) {
	dir, err := os.MkdirTemp("", "registry-file-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "copy")
	if err := copyFile(path, copied); err != nil {
		return nil, err
	}
	c := new(Contents)
	var d decoder
	nodes, records := map[registry.NodeID]registry.Node{}, map[registry.ActorID]registry.Placement{}
	log, err := logfile.Open(logfile.OS{}, copied, 0, logfile.State{
		Check: func(header []byte) (err error) {
			d.version, c.Config, err = decodeHeader(header)
			return err
		},
		Apply: func(batch []byte) error {
			return d.batch(batch, visitor{
				record: func(p registry.Placement) { records[p.Actor] = p },
				node:   func(n registry.Node) { nodes[n.Ref.ID] = n },
				floor: func(f registry.Floor, forgotten registry.ActorID) {
					c.Floor = c.Floor.Over(f.Token, f.Version)
					delete(records, forgotten)
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
	return c, log.Close()
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
