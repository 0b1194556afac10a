package linearizability

import (
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
	"github.com/kelpie-registry/registry/op"
)

// Told are wrong histories by name, for the texts that package explain makes of
// them: its tests cannot stand beside it, for it has no way to these.
func Told() map[string]history.History {
	told := map[string]history.History{"consequence": consequence().History}
	for _, tc := range wrongHistories {
		told[strings.ReplaceAll(tc.name, " ", "-")] = tc.wrong().History
	}

	b := newBook("n1", "n2")
	ended(b.claim("n1", 0, 1, 1, 1), op.Settled)
	b.lookup("n2", registry.Placement{})
	b.lookup("n2", lease("n1", 0, 1, 1, 1))
	told["settled-claim-late"] = b.History

	// Without the registration the claim is refused by the same guard, for a reason
	// that was not: the node was known, and left.
	b = newBook("n1", "n2", "n3")
	b.lookup("n2", registry.Placement{})
	b.member("n2", time.Second, op.DeregisterNode, "n1")
	b.member("n3", time.Second, op.Heartbeat, "n3")
	b.claim("n1", 2*time.Second, 1, 1, 1)
	told["claim-by-a-node-that-left"] = b.History

	// What was done to the cluster is told where it was done, up to the answer.
	b = newBook("n1", "n2")
	b.claim("n1", 0, 1, 1, 1)
	b.stamp++
	b.Notes = append(b.Notes, history.Note{At: b.stamp, Text: "the cluster crashes, and its handles are opened anew"})
	b.lookup("n2", registry.Placement{})
	b.Notes = append(b.Notes, history.Note{At: b.stamp + 2, Text: "and again"})
	told["after-a-crash"] = b.History

	h := simulate.Simulation{Choose: simulate.Seeded(11), Clients: 4, Actors: 3, Steps: 900, Quiet: true}.History()
	for i := len(h.Ops) - 1; ; i-- {
		if o := &h.Ops[i]; o.Call.Kind == op.Renew && o.Result.Outcome == op.OK {
			o.Result.Record.Token++
			break
		}
	}
	told["long-history"] = h
	return told
}
