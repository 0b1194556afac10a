package adapt

import (
	"cmp"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// row is a row of a listing under its key.
type row struct {
	key    string
	record registry.Placement
}

// page cuts the first rows out; the cursor is the last key.
func page(rows []row, limit int) op.Result {
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	r := op.Result{Outcome: op.OK}
	if len(rows) > limit {
		rows = rows[:limit]
		r.Next = registry.Cursor(rows[limit-1].key)
	}
	for _, row := range rows {
		r.Actors = append(r.Actors, row.record)
	}
	return r
}
