package conformance_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/reference"
)

// mine is what a backend's author writes: how to make an empty cluster and how
// to open a handle on it. Here the registry is the reference itself.
type mine struct{}

func (mine) Name() string { return "mine" }

func (mine) New(cfg registry.Config) (conformance.Cluster, error) {
	store, err := reference.NewStore(cfg)
	return cluster{store}, err
}

type cluster struct{ store *reference.Store }

func (c cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return c.store.Open(cfg, clock)
}

func (cluster) Close() error { return nil }

// ExampleRun is the whole test of a backend: every case becomes a subtest.
func ExampleRun() {
	// In mine_test.go:
	_ = func(t *testing.T) { conformance.Run(t, mine{}) }

	// With more seeds, and the histories of convictions kept:
	_ = func(t *testing.T) {
		conformance.Run(t, mine{}, conformance.Seeds(1, 2, 3), conformance.OutDir(t.ArtifactDir()))
	}
}

// ExampleJudge judges without package testing and writes the verdict.
func ExampleJudge() {
	report, err := conformance.Judge(context.Background(), mine{}, conformance.OnlySections("contract", "fencing"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for _, c := range report.Cases {
		if c.Conviction != nil {
			fmt.Println(c.Conviction) // the rule, the shortest history, the line that replays it
		}
	}
	fmt.Println("convicted:", report.Count(conformance.Convicted), "passed:", report.Passed())
	// Output: convicted: 0 passed: true
}

// forgetful answers validity from memory: any token that was ever good stays so.
type forgetful struct{ mine }

func (forgetful) New(cfg registry.Config) (conformance.Cluster, error) {
	store, err := reference.NewStore(cfg)
	return forgetfulCluster{cluster{store}}, err
}

type forgetfulCluster struct{ cluster }

func (c forgetfulCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.store.Open(cfg, clock)
	return forgetfulHandle{h}, err
}

type forgetfulHandle struct{ registry.Handle }

func (h forgetfulHandle) Validate(ctx context.Context, a registry.ActorID, t registry.Token) error {
	if p, _, err := h.Lookup(ctx, a); err != nil || t < p.Token {
		return err
	}
	return h.Handle.Validate(ctx, a, t)
}

// ExampleConviction shows how a conviction reads.
func ExampleConviction() {
	report, err := conformance.Judge(context.Background(), forgetful{}, conformance.OnlySections("fencing"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Print(report.Cases[1].Conviction)
	// Output:
	// CONVICTED of breaking NoStaleWrite: no guarded write of an earlier tenure is accepted, however late it arrives
	// spec:   action Validate, guard TokenCurrent (spec/tla/Registry.tla:107)
	//         TokenCurrent(r, token) == token >= r.token
	// found:  n1: Validate(a, token 1) = ok
	// wanted: ErrFenced: n2#1 token 2 version 2 expiry T+30s
	// often:  the token that is presented is not compared with the record's, or with a copy that is behind
	//
	// cluster: TTL 30s, Grace 5s, MaxClockSkew (ε) 500ms, FailureTimeout 15s
	//    #  true time  client  its clock  call                                 answer
	//    1  T+0s       n1      T+0s       RegisterNode(n1, if-absent)          n1#1 active seen T+0s
	//    2  T+0s       n2      T+0s       RegisterNode(n2, if-absent)          n2#1 active seen T+0s
	//    3  T+0s       n1      T+0s       Claim(a, n1#1, id 4b08)              n1#1 token 1 version 1 expiry T+30s
	//    4  T+0s       n1      T+0s       Transfer(a, n1#1, token 1, to n2#1)  n2#1 token 2 version 2 expiry T+30s
	// >  5  T+0s       n1      T+0s       Validate(a, token 1)                 ok
	//
	// seed:   1
	// replay: conform run mine --section fencing --case after-transfer --seed 1
}
