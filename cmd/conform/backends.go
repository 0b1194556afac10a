package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
	"github.com/kelpie-registry/registry/conformance/sound"
	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/kelpie-registry/registry/memimpl/memtest"
	"github.com/kelpie-registry/registry/reference"
)

// shipped lists the registries of this repository that must pass, by name.
// Files with build tags add to it.
var shipped = map[string]func() conformance.Backend{
	"reference":    func() conformance.Backend { return referenceBackend{} },
	"memimpl":      func() conformance.Backend { return memtest.Volatile{} },
	"memimpl-file": func() conformance.Backend { return memtest.OnFile{} },
}

// apart are registries of this repository under conditions that one question needs:
// judged by name, and no part of the group shipped.
var apart = map[string]func() conformance.Backend{
	"memimpl-forgets":            func() conformance.Backend { return memtest.Forgetting{} },
	"memimpl-forgets-early":      func() conformance.Backend { return memtest.Forgetting{Eager: true} },
	"memimpl-file-forgets":       func() conformance.Backend { return memtest.Forgetting{File: true} },
	"memimpl-file-forgets-early": func() conformance.Backend { return memtest.Forgetting{File: true, Eager: true} },
}

// moreFlags are the flags of conform run that come with build tags.
var moreFlags []func(*pflag.FlagSet)

// referenceBackend judges the reference itself.
type referenceBackend struct{}

func (referenceBackend) Name() string { return "reference" }

func (referenceBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := reference.NewStore(cfg)
	if err != nil {
		return nil, err
	}
	return referenceCluster{s}, nil
}

type referenceCluster struct{ store *reference.Store }

func (c referenceCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.store.Open(cfg, clock)
	if err != nil {
		return nil, err // not a nil *Registry in a non-nil interface
	}
	return h, nil
}

func (referenceCluster) Close() error { return nil }

// backendsNamed resolves names on the command line: a shipped registry, a
// broken one by its id, a sound one as sound/NAME, or one of the groups
// "shipped" and "broken". Who is named twice is found once.
func backendsNamed(names []string) ([]conformance.Backend, error) {
	var found []conformance.Backend
	for _, name := range names {
		switch name {
		case "shipped":
			for _, n := range shippedNames() {
				found = append(found, shipped[n]())
			}
			continue
		case "broken":
			for _, v := range broken.All() {
				found = append(found, v.Backend())
			}
			continue
		}
		if open, ok := shipped[name]; ok {
			found = append(found, open())
		} else if open, ok := apart[name]; ok {
			found = append(found, open())
		} else if v, ok := brokenNamed(name); ok {
			found = append(found, v.Backend())
		} else if v, ok := sound.Find(strings.TrimPrefix(name, "sound/")); ok && strings.HasPrefix(name, "sound/") {
			found = append(found, v.Backend())
		} else {
			return nil, noBackend(name)
		}
	}
	return once(found, conformance.Backend.Name), nil
}

// noBackend is the error for a name that is no registry's.
func noBackend(name string) error {
	if name == "fdbimpl" || name == "fdbimpl-forgets" || name == "fdbimpl-scheduled" {
		return usage.Errorf("%s is not in this build: %s", name, howToBuild)
	}
	return fmt.Errorf("%w (conform list backends)", usage.UnknownName("registry", name, backendNames()))
}

// howToBuild says how to get a conform that has fdbimpl.
const howToBuild = "in a clone, make bin/conform builds it on the stand-in fdbsim; " +
	"with FoundationDB's client library, go build -tags fdb ./cmd/conform"

// brokenNamed finds a broken registry by its id, its slug, or the name that
// reports have for it.
func brokenNamed(name string) (broken.Variant, bool) {
	if v, ok := broken.Find(name); ok {
		return v, true
	}
	for _, v := range broken.All() {
		if v.Backend().Name() == name {
			return v, true
		}
	}
	return broken.Variant{}, false
}

func shippedNames() []string { return sortedKeys(shipped) }
