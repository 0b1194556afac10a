// Package history keeps what the clients of a registry asked and were answered:
// as a [History], as a file of JSON Lines (FORMAT.md), and as a [Script] to be
// carried out again.
//
// A [Recorder] wraps handles and clocks and yields the history of their calls.
// [Play] carries out a script on a cluster and records it.
package history

import (
	"math"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// Never is the Returned stamp of an operation that did not return.
const Never = math.MaxInt64

// Op is one call of one operation: what was asked, what was answered, when,
// and what the handle's clock read meanwhile.
//
// Invoked and Returned are stamps of one order for the whole history: the
// operation was called before another one returned exactly if its Invoked is
// lower than the other's Returned. Stamps are no times; times are in Clock.
//
// A renewal that was part of a RenewBatch is an operation of its own, a Renew. A
// Watch is recorded when it answers, as the read that it is.
type Op struct {
	ID       int    // position in the history
	Client   string // the handle, by the name given to Recorder.Wrap
	Call     op.Call
	Result   op.Result
	Invoked  int64
	Returned int64 // Never for op.Pending
	Clock    Readings
}

// Recorded reports whether histories have operations of the kind: all but
// RenewBatch and Close.
func Recorded(k op.Kind) bool { return k.Known() && k != op.RenewBatch && k != op.Close }

// Readings says what a clock may have read for an operation: one of Seen or,
// when Interval is set, anything from Lo to Hi.
type Readings struct {
	Seen     []registry.Instant // in the order read
	Interval bool
	Lo, Hi   registry.Instant // both included; only with Interval
}

// Seen returns the readings that were seen, exactly.
func Seen(seen ...registry.Instant) Readings { return Readings{Seen: seen} }

// Within returns the readings of a clock known to be between lo and hi, both included.
func Within(lo, hi registry.Instant) Readings { return Readings{Interval: true, Lo: lo, Hi: hi} }

// AnyReading returns the readings of a clock of which nothing is known.
func AnyReading() Readings { return Within(math.MinInt64, math.MaxInt64) }

// Contains reports whether the clock may have read c.
func (r Readings) Contains(c registry.Instant) bool {
	if r.Interval {
		return r.Lo <= c && c <= r.Hi
	}
	return slices.Contains(r.Seen, c)
}

// History is what the clients of one cluster saw. It begins with an empty cluster.
type History struct {
	Config  registry.Config
	Dialect dialect.Dialect   // in which the cluster's answers are judged
	Ops     []Op              // by Invoked; Ops[i].ID == i
	Served  []Service         // by From; empty where nobody said that he serves
	Notes   []Note            // by At: what was done to the cluster, for people
	Meta    map[string]string // free: backend, seed, section, how to replay
}

// Note is something that was done to the cluster, by a test or by whoever ran it: a
// crash, faults injected. It tells a reader why calls ended as they did, and says
// nothing to a check.
type Note struct {
	At     int64  // a stamp, of the order of the operations
	Client string // of the call under way then that it is about; "": it is about the cluster
	Text   string
}

// With returns the history that consists of the given operations, numbered anew.
func (h History) With(ops []Op) History {
	h.Ops = slices.Clone(ops)
	for i := range h.Ops {
		h.Ops[i].ID = i
	}
	return h
}

// Origin is the earliest reading in the history, from which texts count, and 0
// when there is none.
func (h *History) Origin() registry.Instant {
	origin := registry.Instant(math.MaxInt64)
	for i := range h.Ops {
		clock := &h.Ops[i].Clock
		for _, c := range clock.Seen {
			origin = min(origin, c)
		}
		if clock.Interval && clock.Lo > math.MinInt64 {
			origin = min(origin, clock.Lo)
		}
	}
	if origin == math.MaxInt64 {
		return 0
	}
	return origin
}

// Namespace is the namespace of all actors of the history, which texts leave
// out, and "" when there are several.
func (h *History) Namespace() (namespace string) {
	for i := range h.Ops {
		switch n := h.Ops[i].Call.Actor.Namespace; {
		case n == "" || n == namespace:
		case namespace != "":
			return ""
		default:
			namespace = n
		}
	}
	return namespace
}

// Text is the notation in which the history is shown: times from its origin, names
// without its namespace, and its claims and processes told apart.
func (h *History) Text() op.Text {
	var ids []registry.ClaimID
	for i := range h.Ops {
		ids = append(ids, h.Ops[i].Call.Attempt())
	}
	return op.Text{Origin: h.Origin(), Namespace: h.Namespace(), Claims: op.Distinguish(ids)}
}

// Text shows the readings, and "none" where there is none.
func (r Readings) Text(t op.Text) string {
	if !r.Interval {
		if len(r.Seen) == 0 {
			return "none"
		}
		parts := make([]string, len(r.Seen))
		for i, c := range r.Seen {
			parts[i] = t.Time(c)
		}
		return strings.Join(parts, ", ")
	}
	if r.Lo == r.Hi {
		return t.Time(r.Lo)
	}
	lo, hi := "-inf", "+inf"
	if r.Lo > math.MinInt64 {
		lo = t.Time(r.Lo)
	}
	if r.Hi < math.MaxInt64 {
		hi = t.Time(r.Hi)
	}
	return lo + ".." + hi
}

// Subject names what the operation is about: an actor, a node, or all nodes.
func (o *Op) Subject() string {
	switch k := o.Call.Kind; {
	case !k.OfNode() && k != op.ListActors:
		return "actor " + o.Call.Actor.String()
	case o.Call.Node.ID == "":
		return "nodes"
	}
	return "node " + string(o.Call.Node.ID)
}
