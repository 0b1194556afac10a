package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kelpie-registry/registry"
)

// LostCommit writes a registration, lets crash happen in place of the COMMIT, and
// returns what is then found out about it.
func LostCommit(ctx context.Context, pool *pgxpool.Pool, cluster string, n registry.Node, crash func()) error {
	s := &store{pool, cluster}
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) // gives the connection back
	wrote, err := s.writeNode(ctx, tx, n, 0)
	if err != nil {
		return err
	}
	crash()
	return s.settle(ctx, wrote, errors.New("no answer"))
}
