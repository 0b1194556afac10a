package postgres_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/backends/postgres"
)

// connect returns a pool on the server under test, with the tables made.
func connect(t *testing.T) *pgxpool.Pool {
	url := os.Getenv("BACKENDS_POSTGRES")
	if url == "" {
		t.Skip("BACKENDS_POSTGRES is not set to the URL of a PostgreSQL server; examples/backends/run.sh starts one")
	}
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, postgres.CreateSchema(t.Context(), pool))
	return pool
}

type backend struct {
	pool *pgxpool.Pool
	made *atomic.Int64
}

func (backend) Name() string { return "postgres" }

func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	c := cluster{b.pool, fmt.Sprintf("judged-%d-%d", os.Getpid(), b.made.Add(1))}
	h, err := c.Open(cfg, registry.SystemClock())
	if err != nil {
		return nil, err
	}
	return c, h.Close()
}

type cluster struct {
	pool *pgxpool.Pool
	name string
}

func (c cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return postgres.Open(context.Background(), c.pool, c.name, cfg, clock)
}

func (c cluster) Close() error {
	for _, table := range []string{"actors", "nodes", "clusters"} {
		if _, err := c.pool.Exec(context.Background(), `DELETE FROM `+table+` WHERE cluster = $1`, c.name); err != nil {
			return err
		}
	}
	return nil
}

func TestConformance(t *testing.T) {
	conformance.Run(t, backend{connect(t), new(atomic.Int64)})
}
