package linearizability

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// quietSegments cuts a node's partition at moments when no operation was in
// flight and the registration is known. Every linearization has the earlier
// operations first, and passes through that registration, so cutting there
// never changes a verdict.
func quietSegments(p *partition, least int) []segment {
	var (
		out   []segment
		from  = p.initial()
		start int
		last  int64 // latest return so far
		known = &registration{valid: true}
	)
	for i, e := range p.events {
		if i-start >= least && last < e.call && known.valid {
			target := newState(nil, []member{member{Member: known.node}.seenAt(at(known.node.LastSeen))})
			out = append(out, closed(from, p.events[start:i], target))
			from, start = target, i
		}
		last = max(last, e.ret)
		known.add(e)
	}
	return append(out, segment{from, p.events[start:]})
}

// registration follows a node's registration through events in the order of
// their calls for as long as it is certain what it is.
type registration struct {
	node    registry.Node
	valid   bool
	written int64 // latest return of a possible writer
}

func (k *registration) add(e *event) {
	n, isRead := e.readsNode()
	switch {
	case isRead:
		// After all writers called so far, so it saw what they left.
		if !k.valid && e.call > k.written {
			k.node, k.valid = n, true
		}
		return
	case e.role != asked, e.op.Result.Outcome == op.Refused, e.op.Call.Kind == op.GetNode:
		return
	}
	// A write that overlaps another one may be before or after it. One that overlaps
	// the read that node comes from may too, and it is the same: what a write leaves
	// it leaves again.
	alone := e.call > k.written
	k.written = max(k.written, e.ret)
	k.valid = k.valid && alone
	if e.op.Result.Outcome != op.OK {
		k.valid = false
		return
	}
	switch seen := e.op.Clock.Seen; e.op.Call.Kind {
	case op.RegisterNode:
		k.node, k.valid = e.op.Result.Node, alone
	case op.Heartbeat:
		k.valid = k.valid && !e.op.Clock.Interval && len(seen) == 1
		if k.valid {
			k.node = reference.HeartbeatEffect(k.node, seen[0])
		}
	case op.MarkFailed:
		if !reference.MarkFailedRepeats(k.node, e.op.Call.Node) {
			k.node = reference.MarkFailedEffect(k.node)
		}
	case op.DeregisterNode:
		k.node = reference.DeregisterNodeEffect(k.node)
	}
}

// readsNode returns the registration that the event read.
func (e *event) readsNode() (n registry.Node, ok bool) {
	switch {
	case e.role == nodeRead:
		return *e.member, true
	case e.role == asked && e.op.Call.Kind == op.GetNode && e.op.Result.Outcome == op.OK && e.op.Result.Found:
		return e.op.Result.Node, true
	}
	return n, false
}
