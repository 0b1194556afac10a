// Package broken holds registries that are wrong on purpose. The conformance
// suite must convict every one of them, and must not convict [Sound], which is
// the store that they share without any flaw.
//
// Each registry has one mistake, written as somebody would write it who means
// well: a decision that is off, or a method that does a bit less, a bit earlier
// or in one critical section more than it should. F1 to F16 are the contract's
// failure catalogue; M1 and up are mistakes known from other systems. F10
// (failed renewals only logged) and F13 (a stampede on lapse) are mistakes of a
// client and therefore not here.
package broken

import (
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// Variant is a registry with one mistake.
type Variant struct {
	ID      string               // F1 .. F16 of the failure catalogue, or M1 ..
	Slug    string               // stable name for people and files
	Title   string               // what is wrong, in one line
	Doc     string               // the incident or the rule behind it
	Breaks  []conformance.RuleID // the rules that it breaks; a conviction cites one of them
	Section string               // of the suite, which is expected to convict it

	flaw flaw
}

// flaw is how a variant differs from the sound registry. Unset parts do not.
type flaw struct {
	decide   func(*actions)                           // replaces decisions
	methods  func(*store) opener                      // replaces methods, or what a crash does; called once for each cluster
	config   func(given, store registry.Config) error // replaces the comparison of configurations
	declares []conformance.Capability                 // what the backend says it can do; nil: nothing is said
}

// opener makes of a sound handle the one that the suite gets.
type opener func(*handle) registry.Handle

// each is for flaws that need no state beyond the handle's own.
func each[H registry.Handle](wrap func(*handle) H) func(*store) opener {
	return func(*store) opener { return func(h *handle) registry.Handle { return wrap(h) } }
}

// Backend returns the registry for the suite.
func (v Variant) Backend() conformance.Backend {
	b := backend{name: "broken/" + v.ID + "-" + v.Slug, flaw: v.flaw}
	if v.flaw.declares != nil {
		return declaring{b}
	}
	return b
}

// Sound returns the store that all variants share, without a flaw. It has every
// optional power that the suite knows.
func Sound() conformance.Backend { return backend{name: "broken/sound"} }

// atCrash is for flaws that only show when the store comes back.
func atCrash(lose func(*store)) func(*store) opener {
	return func(s *store) opener {
		s.crash = func() { lose(s) }
		return func(h *handle) registry.Handle { return h }
	}
}

type backend struct {
	name string
	flaw flaw
}

func (b backend) Name() string { return b.name }

func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	do := specified()
	if b.flaw.decide != nil {
		b.flaw.decide(&do)
	}
	c := &cluster{
		store: newStore(cfg, do),
		open:  func(h *handle) registry.Handle { return h },
		match: registry.Config.Match,
	}
	if b.flaw.methods != nil {
		c.open = b.flaw.methods(c.store)
	}
	if b.flaw.config != nil {
		c.match = b.flaw.config
	}
	return c, nil
}

// declaring is a backend that says what it can do.
type declaring struct{ backend }

func (b declaring) Declared() []conformance.Capability { return b.flaw.declares }

// cluster is one store and the handles opened on it. It implements
// conformance.Restarter and conformance.FaultInjector.
type cluster struct {
	store *store
	open  opener
	match func(given, store registry.Config) error

	mu      sync.Mutex
	handles []*handle
}

func (c *cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := c.match(cfg, c.store.cfg); err != nil {
		return nil, err
	}
	h := &handle{store: c.store, clock: clock}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handles = append(c.handles, h)
	return c.open(h), nil
}

func (c *cluster) Close() error { return nil }

// Restart ends every handle. The maps stand for what is on disk: they survive,
// and what was still on its way to them does not.
func (c *cluster) Restart() error {
	c.mu.Lock()
	handles := c.handles
	c.handles = nil
	c.mu.Unlock()
	for _, h := range handles {
		_ = h.Close()
	}
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.store.faults.late = nil
	c.store.crash()
	return nil
}

func (c *cluster) SetFaults(f conformance.Faults) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.store.faults.set(f)
}
