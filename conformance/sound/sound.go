// Package sound holds registries that are right and unusual. The conformance
// suite must convict none of them: each does something that the contract leaves
// open in another way than most registries do, and says which sentence of the
// contract allows it. It is the counterpart of package broken.
package sound

import (
	"slices"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// Variant is a right registry with one peculiarity.
type Variant struct {
	Name string // stable, for people and files
	Does string // what is unusual, in one line
	Why  string // why the contract allows it

	peculiar func(*cluster) // nil: it is one of forgetters
}

// Backend returns the registry for the suite.
func (v Variant) Backend() conformance.Backend {
	if v.peculiar == nil {
		return forgetful{v.Name, forgetters[v.Name]}
	}
	return backend{v, new(atomic.Uint64)}
}

// All returns every variant.
func All() []Variant {
	return slices.Concat(steps, answers, batches, listings, watches, ends, helpers, together, troubles, forgetting)
}

// Find returns the variant with that name.
func Find(name string) (Variant, bool) {
	all := All()
	i := slices.IndexFunc(all, func(v Variant) bool { return v.Name == name })
	if i < 0 {
		return Variant{}, false
	}
	return all[i], true
}

type backend struct {
	v        Variant
	clusters *atomic.Uint64 // made so far: no two make the same choices
}

func (b backend) Name() string { return "sound/" + b.v.Name }

func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := newCluster(cfg, b.clusters.Add(1))
	if err != nil {
		return nil, err
	}
	b.v.peculiar(c)
	return c, nil
}
