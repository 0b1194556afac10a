// Package broken holds registries that are wrong on purpose. The conformance
// suite must convict every one of them, and must not convict [Sound], which is
// the store that they share without a mistake.
//
// Each registry has one mistake, written as somebody would write it who means
// well: it bends a decision or an effect of the specification's step, or the way
// of a call, which then does a bit less, a bit earlier or in one critical
// section more than it should. F1 to F16 are the contract's
// failure catalogue; M1 and up are mistakes known from other systems. F10
// (failed renewals only logged) and F13 (a stampede on lapse) are mistakes of a
// client and therefore not here.
package broken

import (
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
)

// Variant is a registry with one mistake.
type Variant struct {
	ID      string               // F1 .. F16 of the failure catalogue, or M1 ..
	Slug    string               // stable name for people and files
	Title   string               // what is wrong, in one line
	Doc     string               // the incident or the rule behind it
	Breaks  []conformance.RuleID // the rules that it breaks; a conviction cites one of them
	Section string               // of the suite, which is expected to convict it
	Case    string               // of that section, where one is meant to; "": whichever does
	Level   conformance.Effort   // that this takes; "": any

	bends    bend
	speaks   dialect.Dialect          // what the backend says it differs by
	declares []conformance.Capability // what the backend says it can do; nil: nothing is said
}

// Large reports whether the mistake shows only among very many actors, nodes or writes:
// such a judgement takes seconds, most of them to make the history small.
func (v Variant) Large() bool {
	return strings.HasPrefix(v.Case, "many-") || strings.HasPrefix(v.Case, "large-")
}

// Backend returns the registry for the suite.
func (v Variant) Backend() conformance.Backend {
	b := backend{"broken/" + v.ID + "-" + v.Slug, v.bends}
	if v.speaks != (dialect.Dialect{}) {
		return speaking{b, v.speaks}
	}
	if v.declares != nil {
		return declaring{b, v.declares}
	}
	return b
}

// Sound returns the store that all variants share, without a mistake. It has
// every optional power that the suite knows.
func Sound() conformance.Backend { return backend{"broken/sound", func(*cluster) {}} }

type backend struct {
	name  string
	bends bend
}

func (b backend) Name() string { return b.name }

func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	c := newCluster(cfg)
	b.bends(c)
	return c, nil
}

// speaking is a backend that says how its contract differs.
type speaking struct {
	backend
	speaks dialect.Dialect
}

func (b speaking) Dialect() dialect.Dialect { return b.speaks }

// declaring is a backend that says what it can do.
type declaring struct {
	backend
	declares []conformance.Capability
}

func (b declaring) Declared() []conformance.Capability { return b.declares }
