//go:build fdb && fdbsim

package fdbimpl

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/fdbsim"
)

// What a cluster does to its clients as a whole, under the load of several (see
// [weather.under]).
func TestWeather(t *testing.T) {
	for name, w := range map[string]struct {
		faults fdbsim.Faults
		set    func(c *fdbsim.Cluster, on bool) // in turn
	}{
		"the version of the cluster changes": {faults: fdbsim.Faults{VersionLands: 0.1, VersionLost: 0.1, MaxDelay: 20 * time.Millisecond}},
		"version recovery":                   {faults: fdbsim.Faults{Recovery: 0.1, Delay: 0.1}},
		"a slow disk":                        {faults: fdbsim.Faults{Delay: 0.5, MaxDelay: 40 * time.Millisecond, ProcessBehind: 0.05}},
		"a partition": {set: func(c *fdbsim.Cluster, on bool) {
			if on {
				c.Pause()
			} else {
				c.Resume()
			}
		}},
		"a locked database": {set: (*fdbsim.Cluster).SetLocked},
		"kills": {set: func(c *fdbsim.Cluster, on bool) {
			if on {
				c.Kill()
			} else {
				c.Restart()
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := testdb.OpenSim(fdbsim.Config{Seed: 1, Proxies: 3})
			require.NoError(t, err)
			t.Cleanup(func() { d.Close() })
			enough := make(chan struct{})
			close(enough) // after the rounds that every client makes
			weather{enough: enough, blow: func(stop <-chan struct{}) error {
				d.Cluster.SetFaults(w.faults)
				defer d.Cluster.SetFaults(fdbsim.Faults{})
				for on := true; w.set != nil; on = !on {
					w.set(d.Cluster, on)
					select {
					case <-stop:
						w.set(d.Cluster, false)
						return nil
					case <-time.After(2 * time.Millisecond):
					}
				}
				<-stop
				return nil
			}}.under(t, d, Options{MaxBackoff: time.Millisecond, TransactionTimeout: 50 * time.Millisecond})
		})
	}
}
