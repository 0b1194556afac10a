package linearizability

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// page appends one page of a listing of all nodes.
func (b *book) page(after, next registry.Cursor, rows ...string) *history.Op {
	a := op.Result{Next: next}
	for _, n := range rows {
		a.Nodes = append(a.Nodes, nodeOf(n, 1, 0))
	}
	return b.add("n1", 0, op.Call{Kind: op.ListNodes, Page: registry.Page{After: after, Limit: 2}}, a)
}

// What was there throughout a listing is in it exactly once (contract, section 3).
// The listing is the chain of its pages.
func TestListingsOfNodes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		history func(b *book)
		want    Verdict
	}{
		{"everybody once, on two pages", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.page("c", "", "n3")
		}, OK},
		{"a row on both pages", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.page("c", "", "n2", "n3")
		}, Illegal},
		{"a row twice on one page", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.page("c", "", "n3", "n3")
		}, Illegal},
		{"a row on no page", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.page("c", "")
		}, Illegal},
		{"a row on no page, of three", func(b *book) {
			b.page("", "c", "n1")
			b.page("c", "d")
			b.page("d", "", "n3")
		}, Illegal},
		{"a row on no page, but the listing never ended", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.page("c", "d")
		}, OK},
		{"a last page alone, of a listing that began elsewhere", func(b *book) {
			b.page("c", "", "n3")
		}, OK},
		{"a second page that was asked for before the first was answered", func(b *book) {
			stamped(b.page("", "c", "n1", "n2"), 20, 25)
			stamped(b.page("c", ""), 22, 30)
		}, OK},
		{"a second page of a listing with another limit", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.page("c", "").Call.Page.Limit = 3
		}, OK},
		{"a second page of a listing of another status", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.page("c", "").Call.Status = registry.NodeActive
		}, OK},
		// n4 registers between two first pages. It was there throughout the listing
		// that began with the later one.
		{"a row missing since the latest first page", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.register("n4", 1)
			b.page("", "c", "n1", "n2")
			b.page("c", "", "n3")
		}, Illegal},
		{"a row that came after the latest first page", func(b *book) {
			b.page("", "c", "n1", "n2")
			b.page("", "c", "n1", "n2")
			b.register("n4", 1)
			b.page("c", "", "n3")
		}, OK},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBook("n1", "n2", "n3")
			b.stamp = 10
			tc.history(b)
			for _, o := range []Options{{}, {Search: true, NoHints: true}, {Whole: true}} {
				res := Check(b.History, o)
				require.Equal(t, tc.want, res.Verdict, "%+v: %+v", o, res.Violations)
			}
		})
	}
}
