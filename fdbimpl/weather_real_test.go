//go:build fdb && !fdbsim

package fdbimpl

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/internal/serverctl"
)

// Times of a trouble on a real cluster. A transaction's limit is shorter than a trouble,
// so that commits end without an answer; a claim is tried 20 times and outlasts it.
const (
	troubles  = 5
	troubled  = 700 * time.Millisecond
	between   = 500 * time.Millisecond
	impatient = 200 * time.Millisecond
)

// What a cluster does to its clients as a whole, under the load of several (see
// [weather.under]), by what can be done to a real one. A change of its protocol version
// needs two versions of it, and a slow disk a device that is slow: these are on the
// stand-in only.
func TestWeather(t *testing.T) {
	for name, trouble := range map[string]func(t *testing.T, d *testdb.DB) func(on bool) error{
		"pauses": func(t *testing.T, _ *testdb.DB) func(bool) error {
			server := controlled(t)
			return turns(server.Pause, server.Resume)
		},
		"kills": func(t *testing.T, _ *testdb.DB) func(bool) error {
			server := controlled(t)
			return turns(server.Kill, server.Start)
		},
		"a partition": func(t *testing.T, _ *testdb.DB) func(bool) error {
			if theLine == nil {
				t.Skip(serverctl.NoLine)
			}
			return func(on bool) error {
				if on {
					theLine.Cut()
				} else {
					theLine.Mend()
				}
				return nil
			}
		},
		"a locked database": func(t *testing.T, d *testdb.DB) func(bool) error {
			controlled(t) // nobody else is on the cluster
			return func(on bool) error { return setLocked(d.Database, on) }
		},
		"a cluster file that changes": func(t *testing.T, d *testdb.DB) func(bool) error {
			controlled(t)
			return renames(d.Database, os.Getenv("FDB_CLUSTER_FILE"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := testdb.Open("")
			if errors.Is(err, testdb.ErrNoCluster) {
				t.Skip(err)
			}
			require.NoError(t, err)
			set := trouble(t, d)
			t.Cleanup(func() { require.NoError(t, d.Close()) })
			enough := make(chan struct{})
			weather{enough: enough, blow: func(stop <-chan struct{}) error {
				defer close(enough)
				return blow(set)
			}}.under(t, d, Options{TransactionTimeout: impatient, Attempts: 20})
		})
	}
}

// blow sets a trouble and ends it, several times.
func blow(set func(on bool) error) error {
	for range troubles {
		for _, turn := range []struct {
			on   bool
			last time.Duration
		}{{true, troubled}, {false, between}} {
			if err := set(turn.on); err != nil {
				return errors.Join(err, set(false))
			}
			time.Sleep(turn.last) // the trouble, and the rest after it
		}
	}
	return nil
}

func turns(on, off func() error) func(bool) error {
	return func(now bool) error {
		if now {
			return on()
		}
		return off()
	}
}

func controlled(t *testing.T) serverctl.Server {
	server, ok := serverctl.FromEnv()
	if !ok {
		t.Skip(serverctl.Missing)
	}
	return server
}

// setLocked locks the database for all that are not aware of locks, or unlocks it.
func setLocked(db fdb.Database, on bool) error {
	key := fdb.Key("\xff\xff/management/db_locked")
	_, err := db.Transact(func(tr fdb.Transaction) (any, error) {
		for _, set := range []func() error{
			tr.Options().SetSpecialKeySpaceEnableWrites, tr.Options().SetLockAware,
			func() error { return tr.Options().SetTimeout(calmTimeout.Milliseconds()) },
		} {
			if err := set(); err != nil {
				return nil, err
			}
		}
		if on {
			tr.Set(key, []byte("6b656c7069652d7265676973747279ff"))
		} else {
			tr.Clear(key)
		}
		return nil, nil
	})
	return err
}

// renames gives the cluster another description at each turn, so that its connection
// string is another, and waits until the clients' cluster file has it.
func renames(db fdb.Database, file string) func(bool) error {
	n := 0
	return func(bool) error {
		n++
		name := fmt.Sprintf("renamed%d", n)
		tr, err := db.CreateTransaction()
		if err != nil {
			return err
		}
		if err := errors.Join(tr.Options().SetSpecialKeySpaceEnableWrites(), tr.Options().SetTimeout(calmTimeout.Milliseconds())); err != nil {
			return err
		}
		tr.Set(fdb.Key("\xff\xff/configuration/coordinators/cluster_description"), []byte(name))
		// The commit moves the coordinators under itself, so its answer is "unknown" as
		// a rule; whether it was done the file says.
		answer := tr.Commit().Get()
		for end := time.Now().Add(calmTimeout); ; time.Sleep(20 * time.Millisecond) {
			text, err := os.ReadFile(file)
			if err == nil && strings.Contains(string(text), name+":") {
				return nil
			}
			if time.Now().After(end) {
				return fmt.Errorf("%s does not have the description %s: %w; %w", file, name, answer, err)
			}
		}
	}
}

// theLine is what the cluster is reached through, if it is.
var theLine *serverctl.Line

func TestMain(m *testing.M) {
	line, _, err := serverctl.LineFromEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	theLine = line
	os.Exit(m.Run())
}
