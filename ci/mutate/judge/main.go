// Command judge lets the conformance suite judge one shipped registry up to the
// first conviction. It is what ci/mutate builds with each mutant.
//
// Exit code 0: nothing convicts; 1: convicted; 3: a case could not be decided.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl"
)

const (
	exitConvicted = 1
	exitUsage     = 2
	exitUnknown   = 3
)

// callTimeout is generous for a loaded machine: a mutant that hangs costs twice that.
const callTimeout = 4 * time.Second

// backends are the registries by name; files with build tags add to them.
var backends = map[string]conformance.Backend{"memimpl": memory{}}

func main() {
	if len(os.Args) != 2 || backends[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: judge memimpl|fdbimpl (fdbimpl with the tags fdb and fdbsim)")
		os.Exit(exitUsage)
	}
	os.Exit(judge(backends[os.Args[1]]))
}

// judge asks the quick sections first: most mutants need no more.
func judge(b conformance.Backend) int {
	var quick, slow []string
	for _, s := range conformance.Sections() {
		if s.Name == "edges" {
			slow = append(slow, s.Name)
		} else {
			quick = append(quick, s.Name)
		}
	}
	code := 0
	for _, sections := range slices.Concat([][]string{quick[:2]}, [][]string{quick[2:]}, [][]string{slow}) {
		r, err := conformance.Judge(context.Background(), b, conformance.OnlySections(sections...),
			conformance.StopAtFirst(), conformance.CallTimeout(callTimeout))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitUsage
		}
		for _, c := range r.Cases {
			switch c.Verdict {
			case conformance.Convicted:
				fmt.Println(c.ID(), c.Conviction.Rule)
				return exitConvicted
			case conformance.Unknown:
				fmt.Println(c.ID(), "unknown:", c.Reason)
				code = exitUnknown
			}
		}
	}
	return code
}

// memory is memimpl without a file.
type memory struct{}

func (memory) Name() string { return "memimpl" }

func (memory) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := memimpl.New(cfg)
	return memoryCluster{s}, err
}

type memoryCluster struct{ store *memimpl.Store }

func (c memoryCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.store.Open(cfg, clock)
	if err != nil {
		return nil, err // not a nil *Registry in a non-nil interface
	}
	return h, nil
}

func (c memoryCluster) Close() error { return c.store.Close() }
