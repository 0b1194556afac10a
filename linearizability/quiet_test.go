package linearizability

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// stamped sets the stamps of an operation.
func stamped(o *history.Op, call, ret int64) *history.Op {
	o.Invoked, o.Returned = call, ret
	return o
}

func nodeOf(n string, epoch registry.Epoch, seen time.Duration) registry.Node {
	return registry.Node{Ref: registry.NodeRef{ID: registry.NodeID(n), Epoch: epoch}, Status: registry.NodeActive, LastSeen: when(seen)}
}

// A node's history is cut where its registration is certain. Where it is not,
// because writes overlapped, a cut at the wrong one would convict the right
// history: membership is linearizable per node (contract, section 3), and which of
// two overlapping writes came last only a later read tells.
func TestCutsMindOverlappingWrites(t *testing.T) {
	for name, write := range map[string]func(b *book){
		"heartbeats, the one called first came last": func(b *book) {
			stamped(b.member("n1", 1*s, op.Heartbeat, "n1"), 10, 14)
			stamped(b.member("n1", 2*s, op.Heartbeat, "n1"), 11, 13)
			stamped(b.getNode("n1", nodeOf("n1", 1, 1*s)), 20, 21)
		},
		"heartbeats, the one called first came first": func(b *book) {
			stamped(b.member("n1", 1*s, op.Heartbeat, "n1"), 10, 14)
			stamped(b.member("n1", 2*s, op.Heartbeat, "n1"), 11, 13)
			stamped(b.getNode("n1", nodeOf("n1", 1, 2*s)), 20, 21)
		},
		"registrations, the one called first came last": func(b *book) {
			stamped(b.register("n1", 3), 10, 14)
			stamped(b.register("n1", 2), 11, 13)
			stamped(b.getNode("n1", nodeOf("n1", 3, 0)), 20, 21)
		},
		"a read while a write goes on that was called before it": func(b *book) {
			// What is there is not known until the read.
			ended(stamped(b.member("n1", 1*s, op.Heartbeat, "n1"), 8, 9), op.Settled)
			stamped(b.member("n1", 3*s, op.Heartbeat, "n1"), 10, 15)
			stamped(b.getNode("n1", nodeOf("n1", 1, 1*s)), 11, 14)
			stamped(b.getNode("n1", nodeOf("n1", 1, 3*s)), 20, 21)
		},
		"a read after a write that an earlier one outlives": func(b *book) {
			stamped(b.member("n1", 1*s, op.Heartbeat, "n1"), 10, 18)
			stamped(b.member("n1", 2*s, op.Heartbeat, "n1"), 11, 12)
			stamped(b.getNode("n1", nodeOf("n1", 1, 2*s)), 14, 15)
			stamped(b.getNode("n1", nodeOf("n1", 1, 1*s)), 20, 21)
		},
		"a read while writes go on that were called after it, seen or not": func(b *book) {
			ended(stamped(b.member("n1", 1*s, op.Heartbeat, "n1"), 8, 9), op.Settled)
			stamped(b.getNode("n1", nodeOf("n1", 1, 2*s)), 10, 15)
			stamped(b.member("n1", 2*s, op.Heartbeat, "n1"), 11, 12)
			stamped(b.member("n2", 20*s, op.MarkFailed, "n1"), 13, 14)
			stamped(b.getNode("n1", registry.Node{Ref: ref("n1"), Status: registry.NodeFailed, LastSeen: when(2 * s)}), 20, 21)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook("n1")
			write(b)
			b.stamp = 30
			b.getNode("n1", b.Ops[len(b.Ops)-1].Result.Node)
			for _, o := range []way{{Options: Options{Search: true, NoHints: true}}, {Options{Search: true}, 1}, {Options{}, 1}} {
				res := o.check(b.History)
				require.Equal(t, OK, res.Verdict, "%+v: %+v", o, res.Violations)
			}
			// The last read is of the registration as it is; of another it would be wrong.
			b.Ops[len(b.Ops)-1].Result.Node.LastSeen = when(7 * s)
			require.Equal(t, Illegal, way{Options{Search: true}, 1}.check(b.History).Verdict)
		})
	}
}
