package linearizability

import (
	"fmt"
	"sync/atomic"

	"github.com/anishathalye/porcupine"

	"github.com/kelpie-registry/registry/history"
)

// maxDrawn bounds the operations in a picture: more cannot be read, and the
// search behind it has no hints.
const maxDrawn = 300

// Timeline returns the search behind a result in Porcupine's own terms, for a
// picture of it: the model, whose descriptions are those of the texts, and the
// operations, each labelled with actor, node, token, version and expiry. Of a
// convicted history it has only the part that the first violation is about; at most
// 300 operations, those around the violation. It is an error when there is none.
func Timeline(h history.History, res Result) (porcupine.Model, []porcupine.Operation, error) {
	p, from := drawn(&h, res)
	if p == nil {
		return porcupine.Model{}, nil, fmt.Errorf("nothing to draw in %d operations", len(h.Ops))
	}
	m := rulesOf(&h)
	d := newDescriber(&h)
	var stop, tooMany atomic.Bool
	model := m.model(from, nil, &stop, &tooMany) // unknown outcomes have a place in the picture
	model.DescribeOperation = func(in, _ any) string { return d.event(in.(*event)) }
	model.DescribeState = func(f any) string {
		s := ""
		for i, p := range f.(frontier).points {
			if i > 0 {
				s += " or "
			}
			s += m.describe(d, p.state)
		}
		return s
	}
	model.DescribeOperationMetadata = func(c any) string { s, _ := c.(string); return s }
	ops := operations(p)
	for i, e := range p {
		if e.op != nil {
			ops[i].Metadata = fmt.Sprintf("op %d by %s, clock %s", e.op.ID+1, e.op.Client, d.readings(e.op.Clock))
		}
	}
	return model, ops, nil
}

// event renders an event: the operation, or the promise of a listing's row.
func (d describer) event(e *event) string {
	switch e.role {
	case rowRead:
		return e.op.Call.Kind.String() + " row: " + d.Record(*e.record)
	case nodeRead:
		return e.op.Call.Kind.String() + " row: " + d.Node(*e.member)
	case absent, nodeAway:
		return d.asked(e.op) + ": no row"
	case finalMark:
		return "the record seen next"
	}
	return d.op(e.op)
}

// drawn picks the events of the picture, and the state that they begin in.
func drawn(h *history.History, res Result) ([]*event, *state) {
	parts := partitions(h, len(res.Violations) == 0, nil)
	for _, p := range parts {
		if len(res.Violations) > 0 && p.subject != res.Violations[0].Subject {
			continue
		}
		if len(p.events) <= maxDrawn {
			return p.events, p.initial()
		}
		if len(res.Violations) == 0 {
			return p.events[:maxDrawn], p.initial()
		}
		return around(p, res.Violations[0].Op)
	}
	return nil, nil
}

// around returns the events of the segments of p up to the operation, as many
// as can be shown.
func around(p *partition, id int) ([]*event, *state) {
	segs := p.cut(minSegment)
	last := 0
	for i, seg := range segs {
		for _, e := range seg.events {
			if e.op != nil && e.op.ID == id {
				last = i
			}
		}
	}
	out, from := segs[last].events, segs[last].from
	for i := last - 1; i >= 0 && len(out)+len(segs[i].events) <= maxDrawn; i-- {
		out, from = append(segs[i].events[:len(segs[i].events)-1:len(segs[i].events)-1], out...), segs[i].from
	}
	return out[:min(len(out), maxDrawn)], from
}
