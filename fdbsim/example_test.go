package fdbsim_test

import (
	"fmt"

	"github.com/kelpie-registry/registry/fdbsim"
)

// A commit whose client is told that the result is unknown, and that was applied.
func ExampleNewCluster() {
	c := fdbsim.NewCluster(fdbsim.Config{Seed: 1, Faults: fdbsim.Faults{UnknownApplied: 1}})
	defer c.Close()
	db := fdbsim.Open(c.ClusterFile())
	tr := db.CreateTransaction()
	tr.Set([]byte("key"), []byte("value"))
	fmt.Println(tr.Commit().Wait())

	value, _, _ := db.CreateTransaction().Get([]byte("key"), false).Value()
	fmt.Printf("%s\n", value)
	// Output:
	// FoundationDB error code 1021 (Transaction may or may not have committed)
	// value
}

// All interleavings of two transactions that each add one to a counter by reading and writing it.
func ExampleExplore() {
	lost := 0
	runs, all := fdbsim.Explore(1000, func(ch *fdbsim.Choices) {
		s := fdbsim.NewStepper()
		c := fdbsim.NewCluster(fdbsim.Config{Scheduler: s})
		defer c.Close()
		committed := 0
		for range 2 {
			s.Go(func() {
				tr := c.OpenDatabase().CreateTransaction()
				old, _, _ := tr.Get([]byte("n"), false).Value()
				tr.Set([]byte("n"), append(old, '+'))
				if tr.Commit().Wait() == nil {
					committed++
				}
			})
		}
		for pending := s.Quiesce(); len(pending) > 0; pending = s.Quiesce() {
			s.Resolve(pending[ch.Choose(len(pending))], fdbsim.Deliver)
		}
		s.Go(func() {
			f := c.OpenDatabase().CreateTransaction().Get([]byte("n"), false)
			if n, _, _ := f.Value(); len(n) != committed {
				lost++
			}
		})
		for pending := s.Quiesce(); len(pending) > 0; pending = s.Quiesce() {
			s.Resolve(pending[0], fdbsim.Deliver)
		}
	})
	fmt.Println(runs, all, lost)
	// Output: 20 true 0
}
