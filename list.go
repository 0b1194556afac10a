package registry

import (
	"context"
	"fmt"
	"iter"
)

// Limits of a page of a listing, in rows.
const (
	DefaultPageLimit = 100
	MaxPageLimit     = 1000
)

// Cursor marks the place in a listing after which the next page begins. It is
// opaque, belongs to the backend that returned it, and stays valid across
// handles and changes of the store. "" is the beginning, and, as an answer, the end.
type Cursor string

// Page asks for a part of a listing.
type Page struct {
	After Cursor // from the previous answer; "" for the first page
	Limit int    // rows at most: 1 to 1000, 0 means 100
}

// Validate returns an [*InvalidError] for a limit out of bounds.
func (p Page) Validate() error {
	if p.Limit < 0 || p.Limit > MaxPageLimit {
		return &InvalidError{Field: "page limit", Problem: fmt.Sprintf("is %d, want 0 to %d", p.Limit, MaxPageLimit)}
	}
	return nil
}

// Rows returns the limit in force.
func (p Page) Rows() int {
	if p.Limit == 0 {
		return DefaultPageLimit
	}
	return p.Limit
}

// AllActors iterates over every page of ListActors. It stops at the first
// error, which is yielded with a zero Placement.
func AllActors(ctx context.Context, r Registry, node NodeRef) iter.Seq2[Placement, error] {
	return all(func(p Page) ([]Placement, Cursor, error) { return r.ListActors(ctx, node, p) })
}

// AllNodes iterates over every page of ListNodes. It stops at the first error,
// which is yielded with a zero Node.
func AllNodes(ctx context.Context, m Membership, status NodeStatus) iter.Seq2[Node, error] {
	return all(func(p Page) ([]Node, Cursor, error) { return m.ListNodes(ctx, status, p) })
}

func all[T any](fetch func(Page) ([]T, Cursor, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for page := (Page{Limit: MaxPageLimit}); ; {
			rows, next, err := fetch(page)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			page.After = next
		}
	}
}
