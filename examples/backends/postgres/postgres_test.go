package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/backends/internal/storetest"
	"github.com/kelpie-registry/registry/examples/backends/postgres"
)

// store returns the registry on a server with these settings.
func store(name string, settings ...string) storetest.Store {
	return storetest.Store{
		Name: name,
		Program: storetest.Program{
			Name: "postgres",
			Dirs: "/usr/lib/postgresql/*/bin",
			User: "postgres", // it refuses to run as root
			Init: func(dir string) []string {
				return []string{"initdb", "--no-sync", "-D", dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"}
			},
			Args: func(dir string, port, _ int) []string {
				args := []string{"-D", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-c", "unix_socket_directories=", "-c", "max_connections=200"}
				for _, s := range settings {
					args = append(args, "-c", s)
				}
				return args
			},
			Up: func(ctx context.Context, addr string) error {
				pool, err := pgxpool.New(ctx, url(addr))
				if err != nil {
					return err
				}
				defer pool.Close()
				return postgres.CreateSchema(ctx, pool)
			},
		},
		Dial: dial,
		Wire: storetest.Wire{
			Begins:  func(b []byte) bool { return bytes.Contains(b, []byte("begin isolation level")) },
			Refusal: message('E', "SFATAL\x00VFATAL\x00C57P01\x00Mterminating connection due to administrator command\x00\x00"),
			Commits: func(b []byte) bool { return bytes.Contains(b, message('Q', "commit\x00")) },
		},
	}
}

// message is a message of PostgreSQL's protocol.
func message(kind byte, body string) []byte {
	return append([]byte{kind, 0, 0, 0, byte(4 + len(body))}, body...)
}

func url(addr string) string { return fmt.Sprintf("postgres://postgres@%s/postgres", addr) }

type client struct{ *pgxpool.Pool }

func dial(addr string) (storetest.Client, error) {
	pool, err := pgxpool.New(context.Background(), url(addr)+"?pool_max_conns=40")
	return client{pool}, err
}

func (c client) Open(cluster string, cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	ctx, cancel := storetest.Bounded()
	defer cancel()
	return postgres.Open(ctx, c.Pool, cluster, cfg, clock)
}

func (c client) Drop(cluster string) error {
	ctx, cancel := storetest.Bounded()
	defer cancel()
	for _, table := range []string{"actors", "nodes", "clusters"} {
		if _, err := c.Exec(ctx, `DELETE FROM `+table+` WHERE cluster = $1`, cluster); err != nil {
			return err
		}
	}
	return nil
}

func (c client) Close() error {
	c.Pool.Close()
	return nil
}

func TestConformance(t *testing.T) {
	storetest.Passes(t, storetest.Conformance(t, store("postgres")))
}

func TestDurable(t *testing.T) {
	storetest.Passes(t, storetest.Durable(t, store("postgres"), conformance.Histories(10)))
}

func TestKilledUnderLoad(t *testing.T) {
	storetest.KilledUnderLoad(t, store("postgres"), 10)
}

func TestFaults(t *testing.T) {
	storetest.Passes(t, storetest.Faults(t, store("postgres")))
}

// TestSettled: the commit log answers whatever the network did not (contract,
// section 3, on ErrAmbiguous); only without a server nobody knows.
func TestSettled(t *testing.T) {
	storetest.Settles(t, store("postgres"), storetest.Wanted{LostRequest: storetest.Undone, LostAnswer: storetest.Done, ServerGone: storetest.MayApply})
}

// TestAsynchronousCommitIsConvicted: with synchronous_commit off, which is often
// recommended for its speed, a commit is acknowledged before it is in the log
// (contract, section 4, Durability). Nothing else differs.
func TestAsynchronousCommitIsConvicted(t *testing.T) {
	report := storetest.Durable(t, store("postgres, synchronous_commit off", "synchronous_commit=off"), conformance.Histories(10))
	require.Positive(t, report.Count(conformance.Convicted))
	require.Equal(t, conformance.Durability, report.Cases[0].Conviction.Rule)
}

// TestNumbersOfLostTransactions: a crash takes back the numbers of transactions
// that were not in the log, and gives them out again. What became of the second
// transaction of a number says nothing about the first.
func TestNumbersOfLostTransactions(t *testing.T) {
	server := storetest.Start(t, store("postgres").Program)
	pool, err := pgxpool.New(t.Context(), url(server.Addr))
	require.NoError(t, err)
	defer pool.Close()
	h, err := postgres.Open(t.Context(), pool, "judged", registry.DefaultConfig(), registry.SystemClock())
	require.NoError(t, err)
	_, err = h.RegisterNode(t.Context(), "first", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	n := registry.Node{Ref: registry.NodeRef{ID: "n", Epoch: 1}, Status: registry.NodeActive}
	err = postgres.LostCommit(t.Context(), pool, "judged", n, func() {
		require.NoError(t, server.Restart())
		pool.Reset()
		for range 20 { // one of them gets the number
			_, err := pool.Exec(t.Context(), `SELECT pg_current_xact_id()`)
			require.NoError(t, err)
		}
	})
	var unknown *registry.AmbiguousError
	require.ErrorAs(t, err, &unknown)
	require.False(t, unknown.MayStillApply, "its backend is gone")
	_, found, err := h.GetNode(t.Context(), "n")
	require.NoError(t, err)
	require.False(t, found, "nothing was lost, so nothing was tested")
}
