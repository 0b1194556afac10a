package linearizability

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/wire"
)

// SchemaVersion is the version of the history format that WriteHistory writes
// and ReadHistory reads.
const SchemaVersion = 1

// format names the file kind in its first line.
const format = "kelpie-history"

// maxLine bounds one line of a history, in bytes: a listing of 1000 rows with
// the longest names fits.
const maxLine = 4 << 20

type headerLine struct {
	Format  string            `json:"format"`
	Version int               `json:"version"`
	Config  configLine        `json:"config"`
	Meta    map[string]string `json:"meta,omitempty"`
}

type configLine struct {
	TTL            time.Duration `json:"ttl"`
	Grace          time.Duration `json:"grace"`
	MaxClockSkew   time.Duration `json:"max_clock_skew"`
	FailureTimeout time.Duration `json:"failure_timeout"`
}

type opLine struct {
	Client  string      `json:"client"`
	Kind    Kind        `json:"kind"`
	Ask     askLine     `json:"ask"`
	Outcome Outcome     `json:"outcome"`
	Answer  *answerLine `json:"answer,omitempty"`
	Call    int64       `json:"call"`
	Return  *int64      `json:"return,omitempty"` // absent: never
	Clock   clockLine   `json:"clock"`
}

type actorLine struct {
	Namespace string `json:"ns"`
	Name      string `json:"name"`
}

type refLine struct {
	ID    registry.NodeID `json:"id"`
	Epoch registry.Epoch  `json:"epoch,omitempty"`
}

type askLine struct {
	Actor   *actorLine            `json:"actor,omitempty"`
	Node    *refLine              `json:"node,omitempty"`
	Token   registry.Token        `json:"token,omitempty"`
	ClaimID string                `json:"claim_id,omitempty"`
	To      *refLine              `json:"to,omitempty"`
	Seen    registry.Version      `json:"seen,omitempty"`
	Address string                `json:"address,omitempty"`
	Mode    registry.RegisterMode `json:"mode,omitempty"`
	Status  registry.NodeStatus   `json:"status,omitempty"`
	After   registry.Cursor       `json:"after,omitempty"`
	Limit   int                   `json:"limit,omitempty"`
}

type answerLine struct {
	Record *recordLine      `json:"record,omitempty"`
	Node   *nodeLine        `json:"node,omitempty"`
	Found  bool             `json:"found,omitempty"`
	Actors []recordLine     `json:"actors,omitempty"`
	Nodes  []nodeLine       `json:"nodes,omitempty"`
	Next   registry.Cursor  `json:"next,omitempty"`
	Reason Reason           `json:"reason,omitempty"`
	Now    registry.Instant `json:"now,omitempty"`
	Error  string           `json:"error,omitempty"`
}

type recordLine struct {
	Actor   *actorLine       `json:"actor,omitempty"`
	Holder  *refLine         `json:"holder,omitempty"`
	Token   registry.Token   `json:"token,omitempty"`
	Version registry.Version `json:"version,omitempty"`
	Expiry  registry.Instant `json:"expiry,omitempty"`
	ClaimID string           `json:"claim_id,omitempty"`
}

type nodeLine struct {
	Ref      *refLine            `json:"ref,omitempty"`
	Address  string              `json:"address,omitempty"`
	Status   registry.NodeStatus `json:"status,omitempty"`
	LastSeen registry.Instant    `json:"last_seen,omitempty"`
}

type clockLine struct {
	Seen     []registry.Instant `json:"seen,omitempty"`
	Interval bool               `json:"interval,omitempty"`
	Lo       *registry.Instant  `json:"lo,omitempty"`
	Hi       *registry.Instant  `json:"hi,omitempty"`
}

// WriteHistory writes h as JSON Lines: first a header with the format's name,
// its version and the cluster's configuration, then one line for each
// operation. All times are nanoseconds and all numbers are 64-bit integers; see
// the package's FORMAT.md. Only UTF-8 strings can be written.
func WriteHistory(w io.Writer, h History) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	c := h.Config
	if err := enc.Encode(headerLine{format, SchemaVersion, configLine{c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout}, h.Meta}); err != nil {
		return err
	}
	for i := range h.Ops {
		if err := enc.Encode(lineOf(&h.Ops[i])); err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
	}
	return out.Flush()
}

// ReadHistory reads what WriteHistory wrote. It is strict: unknown fields,
// unknown names, stamps that are out of order, and data after a line's value
// are errors, which name the line.
func ReadHistory(r io.Reader) (History, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), maxLine)
	var h History
	line := 0
	for in.Scan() {
		line++
		var err error
		if line == 1 {
			err = h.readHeader(in.Bytes())
		} else {
			err = h.readOp(in.Bytes())
		}
		if err != nil {
			return History{}, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := in.Err(); err != nil {
		return History{}, fmt.Errorf("line %d: %w", line+1, err)
	}
	if line == 0 {
		return History{}, errors.New("line 1: the history is empty, want a header line")
	}
	return h, nil
}

func (h *History) readHeader(data []byte) error {
	var l headerLine
	if err := wire.Decode(data, &l); err != nil {
		return err
	}
	switch {
	case l.Format != format:
		return fmt.Errorf("format is %q, want %q", l.Format, format)
	case l.Version != SchemaVersion:
		return fmt.Errorf("version is %d, this reader knows %d", l.Version, SchemaVersion)
	}
	c := l.Config
	h.Config = registry.Config{TTL: c.TTL, Grace: c.Grace, MaxClockSkew: c.MaxClockSkew, FailureTimeout: c.FailureTimeout, AllowShortTTL: c.TTL < registry.MinTTL}
	h.Meta = l.Meta
	return h.Config.Validate()
}

func (h *History) readOp(data []byte) error {
	var l opLine
	if err := wire.Decode(data, &l); err != nil {
		return err
	}
	op, err := l.op()
	if err != nil {
		return err
	}
	op.ID = len(h.Ops)
	if n := len(h.Ops); n > 0 && op.Call < h.Ops[n-1].Call {
		return fmt.Errorf("call is %d, the operation before has %d: lines are in the order of calls", op.Call, h.Ops[n-1].Call)
	}
	h.Ops = append(h.Ops, op)
	return nil
}

func actorLineOf(a registry.ActorID) *actorLine { return wire.Optional(actorLine(a)) }
func refLineOf(r registry.NodeRef) *refLine     { return wire.Optional(refLine(r)) }

func recordLineOf(p registry.Placement) recordLine {
	return recordLine{actorLineOf(p.Actor), refLineOf(p.Holder), p.Token, p.Version, p.Expiry, wire.ClaimID(p.ClaimID)}
}

func nodeLineOf(n registry.Node) nodeLine {
	return nodeLine{refLineOf(n.Ref), n.Info.Address, n.Status, n.LastSeen}
}

func mapped[T, U any](list []T, f func(T) U) []U {
	if list == nil {
		return nil
	}
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

func lineOf(op *Op) opLine {
	q, a := &op.Ask, &op.Answer
	l := opLine{
		Client: op.Client, Kind: op.Kind, Outcome: op.Outcome, Call: op.Call,
		Ask: askLine{
			Actor: actorLineOf(q.Actor), Node: refLineOf(q.Node), Token: q.Token, ClaimID: wire.ClaimID(q.ClaimID), To: refLineOf(q.To),
			Seen: q.Seen, Address: q.Info.Address, Mode: q.Mode, Status: q.Status, After: q.Page.After, Limit: q.Page.Limit,
		},
		Clock: clockLine{Seen: op.Clock.Seen},
	}
	if op.Return != Never {
		l.Return = &op.Return
	}
	if op.Clock.Interval {
		if op.Clock.Lo != math.MinInt64 {
			l.Clock.Lo = &op.Clock.Lo
		}
		if op.Clock.Hi != math.MaxInt64 {
			l.Clock.Hi = &op.Clock.Hi
		}
		l.Clock.Interval = true
	}
	answer := answerLine{
		Found: a.Found, Actors: mapped(a.Actors, recordLineOf), Nodes: mapped(a.Nodes, nodeLineOf),
		Next: a.Next, Reason: a.Reason, Now: a.Now, Error: a.Error,
	}
	if a.Record != (registry.Placement{}) {
		r := recordLineOf(a.Record)
		answer.Record = &r
	}
	if a.Node != (registry.Node{}) {
		n := nodeLineOf(a.Node)
		answer.Node = &n
	}
	if answer.Record != nil || answer.Node != nil || a.Found || a.Actors != nil || a.Nodes != nil || a.Next != "" || a.Reason != "" || a.Now != 0 || a.Error != "" {
		l.Answer = &answer
	}
	return l
}

var kinds = []Kind{
	KindClaim, KindRenew, KindRelease, KindTransfer, KindLookup, KindValidate, KindListActors, KindWatch,
	KindRegisterNode, KindHeartbeat, KindMarkFailed, KindDeregisterNode, KindGetNode, KindListNodes,
}

func (l *opLine) op() (Op, error) {
	op := Op{Client: l.Client, Kind: l.Kind, Outcome: l.Outcome, Call: l.Call, Return: Never}
	if l.Return != nil {
		op.Return = *l.Return
	}
	switch {
	case !slices.Contains(kinds, l.Kind):
		return op, fmt.Errorf("kind is %q, want one of %v", l.Kind, kinds)
	case !slices.Contains(outcomes, l.Outcome):
		return op, fmt.Errorf("outcome is %q, want one of %v", l.Outcome, outcomes)
	case op.Return <= op.Call:
		return op, fmt.Errorf("return is %d, the call is %d", op.Return, op.Call)
	case (op.Return == Never) != (op.Outcome == OutcomePending):
		return op, errors.New("exactly the operations with the outcome pending have no return")
	}
	q := &l.Ask
	op.Ask = Ask{
		Actor: registry.ActorID(wire.Value(q.Actor)), Node: registry.NodeRef(wire.Value(q.Node)), Token: q.Token, To: registry.NodeRef(wire.Value(q.To)),
		Seen: q.Seen, Info: registry.NodeInfo{Address: q.Address}, Mode: q.Mode, Status: q.Status,
		Page: registry.Page{After: q.After, Limit: q.Limit},
	}
	var err error
	if op.Ask.ClaimID, err = wire.ParseClaimID(q.ClaimID); err != nil {
		return op, fmt.Errorf("ask: %w", err)
	}
	if op.Clock, err = l.Clock.readings(); err != nil {
		return op, err
	}
	if l.Answer == nil {
		l.Answer = new(answerLine)
	}
	if op.Answer, err = l.Answer.answer(); err != nil {
		return op, fmt.Errorf("answer: %w", err)
	}
	if (op.Outcome == OutcomeRefused) != (op.Answer.Reason != "") {
		return op, errors.New("answer: exactly the refused operations have a reason")
	}
	return op, nil
}

func (l *clockLine) readings() (Readings, error) {
	if !l.Interval {
		if l.Lo != nil || l.Hi != nil {
			return Readings{}, errors.New("clock: lo and hi belong to an interval")
		}
		return Readings{Seen: l.Seen}, nil
	}
	r := AnyReading()
	if l.Lo != nil {
		r.Lo = *l.Lo
	}
	if l.Hi != nil {
		r.Hi = *l.Hi
	}
	if r.Lo > r.Hi || l.Seen != nil {
		return Readings{}, errors.New("clock: an interval is from lo to a hi not below it, and has no readings seen")
	}
	return r, nil
}

func (l *recordLine) placement() (registry.Placement, error) {
	id, err := wire.ParseClaimID(l.ClaimID)
	return registry.Placement{
		Actor: registry.ActorID(wire.Value(l.Actor)), Holder: registry.NodeRef(wire.Value(l.Holder)),
		Token: l.Token, Version: l.Version, Expiry: l.Expiry, ClaimID: id,
	}, err
}

func (l *nodeLine) node() registry.Node {
	return registry.Node{Ref: registry.NodeRef(wire.Value(l.Ref)), Info: registry.NodeInfo{Address: l.Address}, Status: l.Status, LastSeen: l.LastSeen}
}

func (l *answerLine) answer() (Answer, error) {
	a := Answer{Found: l.Found, Next: l.Next, Reason: l.Reason, Now: l.Now, Error: l.Error}
	if l.Reason != "" && l.Reason.Err() == nil {
		return a, fmt.Errorf("reason is %q, want the name of a refusal", l.Reason)
	}
	var err error
	if l.Record != nil {
		if a.Record, err = l.Record.placement(); err != nil {
			return a, err
		}
	}
	if l.Node != nil {
		a.Node = l.Node.node()
	}
	for i := range l.Actors {
		p, err := l.Actors[i].placement()
		if err != nil {
			return a, fmt.Errorf("row %d: %w", i+1, err)
		}
		a.Actors = append(a.Actors, p)
	}
	a.Nodes = mapped(l.Nodes, func(n nodeLine) registry.Node { return n.node() })
	return a, nil
}
