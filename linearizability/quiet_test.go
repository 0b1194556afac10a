package linearizability

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// at sets the stamps of an operation.
func (op *Op) at(call, ret int64) *Op {
	op.Call, op.Return = call, ret
	return op
}

func nodeOf(n string, epoch registry.Epoch, seen time.Duration) registry.Node {
	return registry.Node{Ref: registry.NodeRef{ID: registry.NodeID(n), Epoch: epoch}, Status: registry.NodeActive, LastSeen: when(seen)}
}

// A node's history is cut where its registration is certain. Where it is not,
// because writes overlapped, a cut at the wrong one would convict the right
// history: membership is linearizable per node (contract, section 3), and which of
// two overlapping writes came last only a later read tells.
func TestCutsMindOverlappingWrites(t *testing.T) {
	for name, history := range map[string]func(b *book){
		"heartbeats, the one called first came last": func(b *book) {
			b.member("n1", 1*s, KindHeartbeat, "n1").at(10, 14)
			b.member("n1", 2*s, KindHeartbeat, "n1").at(11, 13)
			b.getNode("n1", nodeOf("n1", 1, 1*s)).at(20, 21)
		},
		"heartbeats, the one called first came first": func(b *book) {
			b.member("n1", 1*s, KindHeartbeat, "n1").at(10, 14)
			b.member("n1", 2*s, KindHeartbeat, "n1").at(11, 13)
			b.getNode("n1", nodeOf("n1", 1, 2*s)).at(20, 21)
		},
		"registrations, the one called first came last": func(b *book) {
			b.register("n1", 3).at(10, 14)
			b.register("n1", 2).at(11, 13)
			b.getNode("n1", nodeOf("n1", 3, 0)).at(20, 21)
		},
		"a read while a write goes on that was called before it": func(b *book) {
			op := b.member("n1", 1*s, KindHeartbeat, "n1").at(8, 9)
			op.Outcome = OutcomeSettled // what is there is not known until the read
			b.member("n1", 3*s, KindHeartbeat, "n1").at(10, 15)
			b.getNode("n1", nodeOf("n1", 1, 1*s)).at(11, 14)
			b.getNode("n1", nodeOf("n1", 1, 3*s)).at(20, 21)
		},
		"a read after a write that an earlier one outlives": func(b *book) {
			b.member("n1", 1*s, KindHeartbeat, "n1").at(10, 18)
			b.member("n1", 2*s, KindHeartbeat, "n1").at(11, 12)
			b.getNode("n1", nodeOf("n1", 1, 2*s)).at(14, 15)
			b.getNode("n1", nodeOf("n1", 1, 1*s)).at(20, 21)
		},
		"a read while writes go on that were called after it, seen or not": func(b *book) {
			op := b.member("n1", 1*s, KindHeartbeat, "n1").at(8, 9)
			op.Outcome = OutcomeSettled
			b.getNode("n1", nodeOf("n1", 1, 2*s)).at(10, 15)
			b.member("n1", 2*s, KindHeartbeat, "n1").at(11, 12)
			b.member("n2", 20*s, KindMarkFailed, "n1").at(13, 14)
			b.getNode("n1", registry.Node{Ref: ref("n1"), Status: registry.NodeFailed, LastSeen: when(2 * s)}).at(20, 21)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook("n1")
			history(b)
			b.stamp = 30
			b.getNode("n1", b.Ops[len(b.Ops)-1].Answer.Node)
			for _, o := range []Options{{searchOnly: true, NoHints: true}, {searchOnly: true, least: 1}, {least: 1}} {
				res := Check(b.History, o)
				require.Equal(t, OK, res.Verdict, "%+v: %+v", o, res.Violations)
			}
			// The last read is of the registration as it is; of another it would be wrong.
			b.Ops[len(b.Ops)-1].Answer.Node.LastSeen = when(7 * s)
			require.Equal(t, Illegal, Check(b.History, Options{searchOnly: true, least: 1}).Verdict)
		})
	}
}
