package op

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/wire"
)

// CallFields is the JSON form of a call, to be embedded in the lines of a
// protocol or a file. 64-bit numbers are strings of decimal digits, because not
// every language's JSON can hold them as numbers; numbers are read too.
// Arguments that are zero are left out.
type CallFields struct {
	Op       Kind                     `json:"op"`
	Actor    *ActorFields             `json:"actor,omitempty"`
	Node     *RefFields               `json:"node,omitempty"`
	Token    number[registry.Token]   `json:"token,omitzero"`
	Version  number[registry.Version] `json:"version,omitzero"`
	Expiry   number[registry.Instant] `json:"expiry,omitzero"`
	ClaimID  string                   `json:"claim_id,omitempty"`
	To       *RefFields               `json:"to,omitempty"`
	Leases   []RecordFields           `json:"leases,omitempty"`
	Seen     number[registry.Version] `json:"seen,omitzero"`
	Address  string                   `json:"address,omitempty"`
	Instance string                   `json:"instance,omitempty"` // of RegisterNode
	Mode     registry.RegisterMode    `json:"mode,omitempty"`
	Status   registry.NodeStatus      `json:"status,omitempty"`
	After    registry.Cursor          `json:"after,omitempty"`
	Limit    int                      `json:"limit,omitempty"`
}

// ResultFields is the JSON form of a result. Error is absent with the outcome OK.
type ResultFields struct {
	Record   *RecordFields   `json:"record,omitempty"`
	Node     *NodeFields     `json:"node,omitempty"`
	Found    bool            `json:"found,omitempty"`
	Records  []RecordFields  `json:"records,omitempty"`
	Nodes    []NodeFields    `json:"nodes,omitempty"`
	Next     registry.Cursor `json:"next,omitempty"`
	Renewals []RenewalFields `json:"renewals,omitempty"`
	Error    *ErrorFields    `json:"error,omitempty"`
}

// ActorFields is the JSON form of an actor's name.
type ActorFields struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// RefFields is the JSON form of an incarnation; epoch 0 where only the name is meant.
type RefFields struct {
	ID    registry.NodeID        `json:"id"`
	Epoch number[registry.Epoch] `json:"epoch"`
}

// RecordFields is the JSON form of a record or a lease. Nobody is no holder.
type RecordFields struct {
	Actor   ActorFields              `json:"actor"`
	Holder  *RefFields               `json:"holder,omitempty"`
	Token   number[registry.Token]   `json:"token"`
	Version number[registry.Version] `json:"version"`
	Expiry  number[registry.Instant] `json:"expiry"`
	ClaimID string                   `json:"claim_id,omitempty"`
}

// NodeFields is the JSON form of a registration.
type NodeFields struct {
	Ref      RefFields                `json:"ref"`
	Address  string                   `json:"address,omitempty"`
	Instance string                   `json:"instance,omitempty"`
	Status   registry.NodeStatus      `json:"status"`
	LastSeen number[registry.Instant] `json:"last_seen"`
}

// RenewalFields is the JSON form of one result of a RenewBatch.
type RenewalFields struct {
	Record *RecordFields `json:"record,omitempty"`
	Error  *ErrorFields  `json:"error,omitempty"`
}

// ErrorFields is the JSON form of an error of the contract: its name, and the
// detail that the Go type of the same name carries.
type ErrorFields struct {
	Reason        Reason                   `json:"reason"`
	Text          string                   `json:"text,omitempty"`
	Field         string                   `json:"field,omitempty"`           // ErrInvalid, ErrConfigMismatch
	Store         time.Duration            `json:"store_ns,omitempty"`        // ErrConfigMismatch
	Given         time.Duration            `json:"given_ns,omitempty"`        // ErrConfigMismatch
	MayStillApply bool                     `json:"may_still_apply,omitempty"` // ErrAmbiguous
	Record        *RecordFields            `json:"record,omitempty"`          // refusals
	Node          *NodeFields              `json:"node,omitempty"`            // refusals
	Now           number[registry.Instant] `json:"now,omitzero"`              // refusals
}

// number is a 64-bit integer that is written as a string of decimal digits and
// read as a string or a number.
type number[T ~int64 | ~uint64] struct{ value T }

func num[T ~int64 | ~uint64](v T) number[T] { return number[T]{v} }

// MarshalJSON writes the decimal digits as a string.
func (n number[T]) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `"%d"`, n.value), nil }

// UnmarshalJSON reads decimal digits, in a string or bare, in the one form that
// MarshalJSON writes.
func (n *number[T]) UnmarshalJSON(data []byte) error {
	digits := string(data)
	if quoted, ok := strings.CutPrefix(digits, `"`); ok {
		digits = strings.TrimSuffix(quoted, `"`)
	}
	var v T
	if T(0)-1 < 0 {
		i, _ := strconv.ParseInt(digits, 10, 64)
		v = T(i)
	} else {
		u, _ := strconv.ParseUint(digits, 10, 64)
		v = T(u)
	}
	if fmt.Sprintf("%d", v) != digits { // also when it is no number, or out of range
		return fmt.Errorf("%s is not a number of this field, in decimal digits", data)
	}
	n.value = v
	return nil
}

// Fields returns the JSON form of c.
func (c *Call) Fields() CallFields {
	f := CallFields{
		Op: c.Kind, Actor: actorFields(c.Actor), Node: refFields(c.Node), Token: num(c.Token), Version: num(c.Version), Expiry: num(c.Expiry),
		ClaimID: wire.ClaimID(c.ClaimID), To: refFields(c.To), Seen: num(c.Seen), Address: c.Info.Address, Instance: instanceText(c.Info.Instance), Mode: c.Mode, Status: c.Status,
		After: c.Page.After, Limit: c.Page.Limit,
	}
	for _, l := range c.Leases {
		f.Leases = append(f.Leases, *recordFields(registry.Placement(l)))
	}
	return f
}

// Call returns the call that f says. It does not check arguments: see [Call.Validate].
func (f *CallFields) Call() (Call, error) {
	c := Call{
		Kind: f.Op, Actor: f.Actor.id(), Node: f.Node.ref(), Token: f.Token.value, Version: f.Version.value, Expiry: f.Expiry.value,
		To: f.To.ref(), Seen: f.Seen.value, Info: registry.NodeInfo{Address: f.Address}, Mode: f.Mode, Status: f.Status,
		Page: registry.Page{After: f.After, Limit: f.Limit},
	}
	if !c.Kind.Known() {
		return c, errors.New("op is missing")
	}
	var err error
	if c.ClaimID, err = wire.ParseClaimID(f.ClaimID); err != nil {
		return c, err
	}
	if c.Info.Instance, err = parseInstance(f.Instance); err != nil {
		return c, err
	}
	for i := range f.Leases {
		p, err := f.Leases[i].placement()
		if err != nil {
			return c, fmt.Errorf("lease %d: %w", i+1, err)
		}
		c.Leases = append(c.Leases, p.Lease())
	}
	return c, nil
}

// Fields returns the JSON form of r, which must not be [Pending].
func (r *Result) Fields() ResultFields {
	f := ResultFields{Error: ErrorOf(r.Err)}
	if r.Outcome == Refused { // its details are those of the error
		f.Error = &ErrorFields{Reason: r.Reason, Record: recordOrNil(r.Record), Node: nodeOrNil(r.Node), Now: num(r.Now)}
		return f
	}
	f.Record, f.Node, f.Found, f.Next = recordOrNil(r.Record), nodeOrNil(r.Node), r.Found, r.Next
	for _, p := range r.Actors {
		f.Records = append(f.Records, *recordFields(p))
	}
	for _, n := range r.Nodes {
		f.Nodes = append(f.Nodes, *nodeFields(n))
	}
	for i := range r.Renewals {
		one := r.Renewals[i].Fields()
		f.Renewals = append(f.Renewals, RenewalFields{one.Record, one.Error})
	}
	return f
}

// Result returns the result that f says of a call of the given kind.
func (f *ResultFields) Result(k Kind) (Result, error) {
	r := Result{Found: f.Found, Next: f.Next}
	var err error
	if r.Node, err = f.Node.node(); err != nil {
		return r, err
	}
	if r.Record, err = f.Record.placement(); err != nil {
		return r, err
	}
	if r.Actors, err = placements(f.Records); err != nil {
		return r, err
	}
	for i := range f.Nodes {
		n, err := f.Nodes[i].node()
		if err != nil {
			return r, fmt.Errorf("row %d: %w", i+1, err)
		}
		r.Nodes = append(r.Nodes, n)
	}
	for i := range f.Renewals {
		one := ResultFields{Record: f.Renewals[i].Record, Error: f.Renewals[i].Error}
		renewal, err := one.Result(Renew)
		if err != nil {
			return r, fmt.Errorf("renewal %d: %w", i+1, err)
		}
		r.Renewals = append(r.Renewals, renewal)
	}
	if k == Watch {
		r.Found = r.Record.Version > 0
	}
	told, err := f.Error.Err()
	r.end(k.row(), told)
	return r, err
}

func placements(list []RecordFields) (out []registry.Placement, err error) {
	for i := range list {
		p, err := list[i].placement()
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// ErrorOf returns the JSON form of an error, nil for nil.
func ErrorOf(err error) *ErrorFields {
	if err == nil {
		return nil
	}
	f := &ErrorFields{Reason: ReasonOf(err), Text: err.Error()}
	var ambiguous *registry.AmbiguousError
	var invalid *registry.InvalidError
	var refusal *registry.Refusal
	var mismatch *registry.ConfigMismatchError
	switch {
	case errors.As(err, &ambiguous):
		f.MayStillApply, f.Text = ambiguous.MayStillApply, errorText(ambiguous.Cause)
	case f.Reason == "ErrAmbiguous":
		f.MayStillApply = true // it does not say which kind, so the wider one
	case errors.As(err, &invalid):
		f.Field, f.Text = invalid.Field, invalid.Problem
	case errors.As(err, &mismatch):
		f.Field, f.Store, f.Given = mismatch.Field, mismatch.Store, mismatch.Given
	case errors.As(err, &refusal):
		f.Record, f.Node, f.Now = recordOrNil(refusal.Placement), nodeOrNil(refusal.Node), num(refusal.Now)
	}
	return f
}

// toldError is an error that somebody else's words describe, and the error of
// the contract that they name.
type toldError struct {
	text string
	kind error
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.kind }

// Err returns the error that f says, which matches what its reason names and
// carries its details: the first result. The second is not nil when f is not the
// form of any error.
func (f *ErrorFields) Err() (told, wrong error) {
	if f == nil {
		return nil, nil
	}
	kind := f.Reason.Err()
	if kind == nil && f.Reason != NotListed {
		return nil, fmt.Errorf("unknown reason %q", f.Reason)
	}
	switch {
	case kind == registry.ErrAmbiguous:
		return &registry.AmbiguousError{MayStillApply: f.MayStillApply, Cause: errors.New(f.Text)}, nil
	case kind == registry.ErrInvalid && f.Field != "":
		return &registry.InvalidError{Field: f.Field, Problem: f.Text}, nil
	case kind == registry.ErrConfigMismatch:
		return &registry.ConfigMismatchError{Field: f.Field, Store: f.Store, Given: f.Given}, nil
	case f.Reason.Refusal():
		p, wrong := f.Record.placement()
		n, wrongNode := f.Node.node()
		return &registry.Refusal{Reason: kind, Placement: p, Node: n, Now: f.Now.value}, cmp.Or(wrong, wrongNode)
	}
	return &toldError{f.Text, kind}, nil
}

func actorFields(a registry.ActorID) *ActorFields {
	if a == (registry.ActorID{}) {
		return nil
	}
	return &ActorFields{a.Namespace, a.Name}
}

func (f *ActorFields) id() (a registry.ActorID) {
	if f != nil {
		a = registry.ActorID(*f)
	}
	return a
}

func refFields(r registry.NodeRef) *RefFields {
	if r.IsZero() {
		return nil
	}
	return &RefFields{r.ID, num(r.Epoch)}
}

func (f *RefFields) ref() (r registry.NodeRef) {
	if f != nil {
		r = registry.NodeRef{ID: f.ID, Epoch: f.Epoch.value}
	}
	return r
}

func recordFields(p registry.Placement) *RecordFields {
	return &RecordFields{ActorFields(p.Actor), refFields(p.Holder), num(p.Token), num(p.Version), num(p.Expiry), wire.ClaimID(p.ClaimID)}
}

func recordOrNil(p registry.Placement) *RecordFields {
	if p == (registry.Placement{}) {
		return nil
	}
	return recordFields(p)
}

func (f *RecordFields) placement() (registry.Placement, error) {
	if f == nil {
		return registry.Placement{}, nil
	}
	id, err := wire.ParseClaimID(f.ClaimID)
	return registry.Placement{
		Actor: f.Actor.id(), Holder: f.Holder.ref(), Token: f.Token.value, Version: f.Version.value, Expiry: f.Expiry.value, ClaimID: id,
	}, err
}

func nodeFields(n registry.Node) *NodeFields {
	return &NodeFields{RefFields{n.Ref.ID, num(n.Ref.Epoch)}, n.Info.Address, instanceText(n.Info.Instance), n.Status, num(n.LastSeen)}
}

func nodeOrNil(n registry.Node) *NodeFields {
	if n == (registry.Node{}) {
		return nil
	}
	return nodeFields(n)
}

func (f *NodeFields) node() (registry.Node, error) {
	if f == nil {
		return registry.Node{}, nil
	}
	instance, err := parseInstance(f.Instance)
	return registry.Node{
		Ref: f.Ref.ref(), Info: registry.NodeInfo{Address: f.Address, Instance: instance}, Status: f.Status, LastSeen: f.LastSeen.value,
	}, err
}

func instanceText(id registry.InstanceID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func parseInstance(s string) (registry.InstanceID, error) {
	if s == "" {
		return registry.InstanceID{}, nil
	}
	return registry.ParseInstanceID(s)
}
