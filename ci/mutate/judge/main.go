// Command judge lets the conformance suite judge one shipped registry up to the
// first conviction. It is what ci/mutate builds with each mutant.
//
// Exit code 0: nothing convicts; 1: convicted; 3: a case could not be decided.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

const (
	exitConvicted = 1
	exitUsage     = 2
	exitUnknown   = 3
)

// callTimeout is generous for a loaded machine: a mutant that hangs costs twice that.
const callTimeout = 4 * time.Second

// backends are the registries by name; files with build tags add to them.
var backends = map[string]conformance.Backend{
	"memimpl":      memtest.Volatile{},
	"memimpl-file": memtest.OnFile{},
}

func main() {
	part := "all"
	if len(os.Args) == 3 {
		part = os.Args[2]
	}
	if len(os.Args) < 2 || len(os.Args) > 3 || backends[os.Args[1]] == nil || parts()[part] == nil {
		fmt.Fprintln(os.Stderr, "usage: judge memimpl|memimpl-file|fdbimpl [all|quick|edges] (fdbimpl with the tags fdb and fdbsim)")
		os.Exit(exitUsage)
	}
	os.Exit(judge(backends[os.Args[1]], parts()[part]))
}

// parts are the sections to ask, the quick ones first: most mutants need no more.
func parts() map[string][][]string {
	var quick []string
	edges := []string{"edges"}
	for _, s := range conformance.Sections() {
		if s.Name != edges[0] {
			quick = append(quick, s.Name)
		}
	}
	return map[string][][]string{
		"all":   {quick[:2], quick[2:], edges},
		"quick": {quick[:2], quick[2:]},
		"edges": {edges},
	}
}

func judge(b conformance.Backend, parts [][]string) int {
	code := 0
	for _, sections := range parts {
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
