//go:build fdb

package fidelity

import "github.com/kelpie-registry/registry/internal/serverctl"

// programmed is the control of a cluster by a program. What the program cannot do ends the tests.
type programmed struct {
	serverctl.Program
	has bool
}

func (p programmed) Controlled() bool { return p.has }
func (p programmed) Pause()           { must(p.Program.Pause()) }
func (p programmed) Resume()          { must(p.Program.Resume()) }
func (p programmed) Kill()            { must(p.Program.Kill()) }
func (p programmed) Restart()         { must(p.Program.Start()) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
