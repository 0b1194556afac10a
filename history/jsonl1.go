package history

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

// Version 1 of the format: it had names and numbers of its own, and the outcome
// beside the answer.

type opLine1 struct {
	Client  string      `json:"client"`
	Kind    op.Kind     `json:"kind"`
	Ask     callLine1   `json:"ask"`
	Outcome op.Outcome  `json:"outcome"`
	Answer  answerLine1 `json:"answer"`
	Call    int64       `json:"call"`
	Return  *int64      `json:"return"` // absent: never
	Clock   clockLine   `json:"clock"`
}

type actorLine1 struct {
	Namespace string `json:"ns"`
	Name      string `json:"name"`
}

type refLine1 struct {
	ID    registry.NodeID `json:"id"`
	Epoch registry.Epoch  `json:"epoch"`
}

type callLine1 struct {
	Actor   actorLine1            `json:"actor"`
	Node    refLine1              `json:"node"`
	Token   registry.Token        `json:"token"`
	ClaimID string                `json:"claim_id"`
	To      refLine1              `json:"to"`
	Seen    registry.Version      `json:"seen"`
	Address string                `json:"address"`
	Mode    registry.RegisterMode `json:"mode"`
	Status  registry.NodeStatus   `json:"status"`
	After   registry.Cursor       `json:"after"`
	Limit   int                   `json:"limit"`
}

type answerLine1 struct {
	Record recordLine1      `json:"record"`
	Node   nodeLine1        `json:"node"`
	Found  bool             `json:"found"`
	Actors []recordLine1    `json:"actors"`
	Nodes  []nodeLine1      `json:"nodes"`
	Next   registry.Cursor  `json:"next"`
	Reason op.Reason        `json:"reason"`
	Now    registry.Instant `json:"now"`
	Error  string           `json:"error"`
}

type recordLine1 struct {
	Actor   actorLine1       `json:"actor"`
	Holder  refLine1         `json:"holder"`
	Token   registry.Token   `json:"token"`
	Version registry.Version `json:"version"`
	Expiry  registry.Instant `json:"expiry"`
	ClaimID string           `json:"claim_id"`
}

type nodeLine1 struct {
	Ref      refLine1            `json:"ref"`
	Address  string              `json:"address"`
	Status   registry.NodeStatus `json:"status"`
	LastSeen registry.Instant    `json:"last_seen"`
}

func readLine1(data []byte) (Op, error) {
	var l opLine1
	if err := wire.Decode(data, &l); err != nil {
		return Op{}, err
	}
	o := Op{Client: l.Client, Invoked: l.Call, Returned: Never}
	if l.Return != nil {
		o.Returned = *l.Return
	}
	switch {
	case !l.Kind.Known():
		return o, fmt.Errorf("kind is %q, want one of %v", l.Kind, op.Kinds())
	case !slices.Contains(op.Outcomes(), l.Outcome):
		return o, fmt.Errorf("outcome is %q, want one of %v", l.Outcome, op.Outcomes())
	}
	var err error
	if o.Call, err = l.Ask.call(l.Kind); err != nil {
		return o, fmt.Errorf("ask: %w", err)
	}
	if o.Clock, err = l.Clock.readings(); err != nil {
		return o, err
	}
	if o.Result, err = l.Answer.result(l.Outcome); err != nil {
		return o, fmt.Errorf("answer: %w", err)
	}
	return o, nil
}

func (l *callLine1) call(k op.Kind) (op.Call, error) {
	id, err := wire.ParseClaimID(l.ClaimID)
	return op.Call{
		Kind: k, Actor: registry.ActorID(l.Actor), Node: registry.NodeRef(l.Node), Token: l.Token, ClaimID: id, To: registry.NodeRef(l.To),
		Seen: l.Seen, Info: registry.NodeInfo{Address: l.Address}, Mode: l.Mode, Status: l.Status,
		Page: registry.Page{After: l.After, Limit: l.Limit},
	}, err
}

func (l *recordLine1) placement() (registry.Placement, error) {
	id, err := wire.ParseClaimID(l.ClaimID)
	return registry.Placement{
		Actor: registry.ActorID(l.Actor), Holder: registry.NodeRef(l.Holder), Token: l.Token, Version: l.Version, Expiry: l.Expiry, ClaimID: id,
	}, err
}

func (l *nodeLine1) node() registry.Node {
	return registry.Node{Ref: registry.NodeRef(l.Ref), Info: registry.NodeInfo{Address: l.Address}, Status: l.Status, LastSeen: l.LastSeen}
}

// result is the answer of a call that ended with the given outcome. What stands
// beside an error that has no details means nothing.
func (l *answerLine1) result(outcome op.Outcome) (op.Result, error) {
	r := op.Result{Found: l.Found, Node: l.Node.node(), Next: l.Next}
	var err error
	if r.Record, err = l.Record.placement(); err != nil {
		return r, err
	}
	for i := range l.Actors {
		p, err := l.Actors[i].placement()
		if err != nil {
			return r, fmt.Errorf("row %d: %w", i+1, err)
		}
		r.Actors = append(r.Actors, p)
	}
	for i := range l.Nodes {
		r.Nodes = append(r.Nodes, l.Nodes[i].node())
	}
	if (outcome == op.Refused) != (l.Reason != "") || l.Reason != "" && !l.Reason.Refusal() {
		return r, errors.New("exactly the refused operations have a reason, the name of a refusal")
	}
	switch outcome {
	case op.OK:
		r.Outcome = op.OK
		return r, nil
	case op.Pending:
		return op.Result{Outcome: op.Pending}, nil
	case op.Refused:
		return op.Failed(&registry.Refusal{Reason: l.Reason.Err(), Placement: r.Record, Node: r.Node, Now: l.Now}), nil
	}
	return op.Failed(outcome.Err(l.Error)), nil
}
