package trace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/internal/ticks"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/spec"
)

// ErrTooFine says that the trace's instants do not fit TLC's numbers.
var ErrTooFine = errors.New("the readings of the clocks are too fine or too far apart for TLC")

const (
	dataModule = "RegistryTraceData"
	maxTicks   = 1 << 29 // TLC's integers have 32 bits, and sums of four must fit
)

// Breach says that every step of a trace is one of the specification, and that
// a safety property does not hold of them: then the specification is wrong, or what
// a property assumes of the clients' clocks is not true.
type Breach struct {
	Property string // its name in Registry.tla
	Step     int    // after which it does not hold, or which breaks it; from 1
	Steps    int    // in the trace
	Event    string // the action of that step
}

// Error names the property and the step.
func (b *Breach) Error() string {
	return fmt.Sprintf("step %d of %d breaks %s\n  %s", b.Step, b.Steps, b.Property, b.Event)
}

// invariants and properties of Registry.tla that are checked along a trace.
var (
	invariants = []string{"SingleActivation", "BelieverIsHolder"}
	properties = []string{"GraceRespected", "TokenMonotonic", "NoTokenReuse", "VersionBump", "GrantToMember", "EpochMonotonic", "SilenceRespected"}
)

// CheckTLC has TLC replay the trace through Registry.tla, and check its safety
// properties along the way. The error is a [*Rejection] when TLC rejects the trace,
// and a [*Breach] when a property fails; it matches tlc.ErrNoTLC where TLC cannot be
// run and ErrTooFine where the trace cannot be written down for it.
func (t Trace) CheckTLC(ctx context.Context, tool tlc.Tool) error {
	if len(t.Events) == 0 {
		return ErrEmpty
	}
	dir, err := os.MkdirTemp("", "trace-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cfg, err := t.lay(dir)
	if err != nil {
		return err
	}
	return t.run(ctx, tool, dir, cfg)
}

func (t Trace) run(ctx context.Context, tool tlc.Tool, dir string, cfg tlc.Config) error {
	out, err := tlc.Run(ctx, tool, tlc.Job{FS: os.DirFS(dir), Module: dataModule, Config: cfg, JVM: []string{"-Xss64m"}})
	if err != nil {
		return err
	}
	switch {
	case out.Verdict == tlc.Invariant && out.Violated == "NotAccepted":
		return nil
	case out.Verdict == tlc.Deadlock && len(out.Trace) > 0:
		return t.rejection(out.Trace[len(out.Trace)-1])
	case (out.Verdict == tlc.Invariant || out.Verdict == tlc.Action) && len(out.Trace) > 1:
		step := min(len(out.Trace)-1, len(t.Events)) // the first state is before the first step
		return &Breach{Property: out.Violated, Step: step, Steps: len(t.Events), Event: t.describe(t.Events[step-1])}
	}
	return fmt.Errorf("TLC: %s %s: %s", out.Verdict, out.Violated, out.Message)
}

// lay writes the modules and the trace into dir.
func (t Trace) lay(dir string) (tlc.Config, error) {
	for _, name := range []string{"Registry.tla", "RegistryAnswers.tla", "RegistryTrace.tla"} {
		text, err := fs.ReadFile(spec.TLA(), name)
		if err != nil {
			return tlc.Config{}, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return tlc.Config{}, err
		}
	}
	text, cfg, err := t.module()
	if err != nil {
		return tlc.Config{}, err
	}
	return cfg, os.WriteFile(filepath.Join(dir, dataModule+".tla"), []byte(text), 0o644)
}

// rejection reads the last state that TLC reached.
func (t Trace) rejection(last tlc.State) error {
	v, err := stategraph.ParseState(last.Text)
	if err != nil {
		return fmt.Errorf("TLC's last state: %w", err)
	}
	at := int(v.Get("at").Num)
	if at < 0 || at >= len(t.Events) {
		return fmt.Errorf("TLC stopped after %d of %d events", at, len(t.Events))
	}
	w, err := newWriter(t)
	if err != nil {
		return err
	}
	e := t.Events[at]
	return &Rejection{
		Step: at + 1, Steps: len(t.Events), Event: t.describe(e),
		Possible: t.answerText(e.Op.Call.Kind, w.answer(e, v.Get("expected"))),
	}
}

// writer writes a trace in TLA+: names become n1, n2, ... and a1, a2, ...,
// claim ids numbers, and instants ticks (see package ticks).
type writer struct {
	t      Trace
	scale  ticks.Scale
	nodes  names[registry.NodeID]
	actors names[registry.ActorID]
	claims names[registry.ClaimID]

	instances names[registry.InstanceID]
}

// names numbers values in the order of their appearance.
type names[T comparable] struct {
	index map[T]int
	list  []T
}

func (n *names[T]) number(v T) int {
	if n.index == nil {
		n.index = map[T]int{}
	}
	i, ok := n.index[v]
	if !ok {
		n.list = append(n.list, v)
		i = len(n.list)
		n.index[v] = i
	}
	return i
}

// newWriter makes the scale of the trace's instants.
func newWriter(t Trace) (*writer, error) {
	c := t.Config
	w := &writer{t: t, scale: ticks.New(
		2*(c.TTL+c.Grace+c.FailureTimeout+2*c.MaxClockSkew), // more than any guard adds up
		[]time.Duration{c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout}, t.instants())}
	for _, i := range t.instants() {
		if w.ticks(i) > maxTicks {
			return nil, fmt.Errorf("%w: %v after the start", ErrTooFine, i.Sub(t.start()))
		}
	}
	return w, nil
}

// instants returns the readings, and the instants that answers and refusals tell.
func (t Trace) instants() []registry.Instant {
	var all []registry.Instant
	for _, e := range t.Events {
		if e.Op.Call.Kind.Timed() {
			all = append(all, e.Now)
		}
		if r := e.Op.Result.Record; r.Version > 0 {
			all = append(all, r.Expiry)
		}
		if n := e.Op.Result.Node; !n.Ref.IsZero() {
			all = append(all, n.LastSeen)
		}
	}
	return all
}

// module returns the text of the module with the trace, and its configuration.
func (t Trace) module() (string, tlc.Config, error) {
	w, err := newWriter(t)
	if err != nil {
		return "", tlc.Config{}, err
	}
	events := make([]string, len(t.Events))
	for i, e := range t.Events {
		events[i] = w.event(e)
	}
	w.node("") // so that there is a node and an actor to ask about
	w.actor(registry.ActorID{})
	text := fmt.Sprintf("---- MODULE %s ----\nEXTENDS RegistryTrace\nTheEvent(i) ==\n%s\n====\n", dataModule, tlc.Choice(events))
	cfg := tlc.Config{Specification: "TraceSpec", Invariants: append([]string{"NotAccepted"}, invariants...), Properties: properties}
	ticks := func(d time.Duration) string { return fmt.Sprint(w.scale.Ticks(d)) }
	for _, c := range [][2]string{
		{"Nodes", set("n", len(w.nodes.list))}, {"Actors", set("a", len(w.actors.list))},
		{"ClaimIDs", "{1}"}, {"Instances", upTo(len(w.instances.list))}, {"Joined", "{}"}, {"Acts", "{}"}, {"Dropped", "{}"},
		{"TTL", ticks(t.Config.TTL)}, {"Grace", ticks(t.Config.Grace)}, {"Eps", ticks(t.Config.MaxClockSkew)},
		{"Margin", ticks(2 * t.Config.MaxClockSkew)}, {"FailureTimeout", ticks(t.Config.FailureTimeout)},
		{"MaxToken", fmt.Sprint(maxTicks)}, {"MaxEpoch", fmt.Sprint(maxTicks)}, {"MaxVersion", fmt.Sprint(maxTicks)}, {"MaxWrites", "0"},
		{"Length", fmt.Sprint(len(events))}, {"EventAt", "<- TheEvent"},
		{"Presented", "<- NoCalls"}, {"Tokens", "<- NoCalls"}, {"Registrations", "<- NoCalls"},
	} {
		cfg.Set(c[0], c[1])
	}
	return text, cfg, nil
}

// upTo is the set of the numbers from 0 to n.
func upTo(n int) string {
	items := make([]string, n+1)
	for i := range items {
		items[i] = fmt.Sprint(i)
	}
	return "{" + strings.Join(items, ", ") + "}"
}

func set(prefix string, n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("%q", fmt.Sprint(prefix, i+1))
	}
	return "{" + strings.Join(items, ", ") + "}"
}

func (w *writer) node(id registry.NodeID) string { return fmt.Sprintf(`"n%d"`, w.nodes.number(id)) }

func (w *writer) actor(a registry.ActorID) string { return fmt.Sprintf(`"a%d"`, w.actors.number(a)) }

func (w *writer) claim(id registry.ClaimID) int {
	if id.IsZero() {
		return 0
	}
	return w.claims.number(id)
}

// ticks counts from 2ε before the first instant, so that no clock of the trace is negative.
func (w *writer) ticks(i registry.Instant) int64 {
	return w.scale.Tick(i) + w.scale.Ticks(2*w.t.Config.MaxClockSkew)
}

func (w *writer) instant(tick int64) registry.Instant {
	return w.scale.Instant(tick - w.scale.Ticks(2*w.t.Config.MaxClockSkew))
}

func (w *writer) instance(id registry.InstanceID) int {
	if id.IsZero() {
		return 0
	}
	return w.instances.number(id)
}

func (w *writer) ref(r registry.NodeRef) string {
	if r.ID == "" {
		return "Nobody"
	}
	return fmt.Sprintf("Ref(%s, %d)", w.node(r.ID), r.Epoch)
}

// now is the event's reading in ticks.
func (w *writer) now(e Event) int64 {
	if !e.Op.Call.Kind.Timed() {
		return 0
	}
	return w.ticks(e.Now)
}

// event writes one event. Where the operation takes no node the first one
// stands in: its registration is not looked at.
func (w *writer) event(e Event) string {
	a := e.Op.Call
	mode := "if-absent"
	if a.Mode == registry.Supersede {
		mode = "supersede"
	}
	kind := e.Op.Call.Kind
	if kind == op.Watch {
		kind = op.Lookup
	}
	return fmt.Sprintf("[op |-> %q, actor |-> %s, node |-> Ref(%s, %d), token |-> %d, claim |-> %d, to |-> %s, mode |-> %q, instance |-> %d, now |-> %d, timed |-> %s, answered |-> %s, answer |-> %s, told |-> %s]",
		kind, w.actor(a.Actor), w.node(a.Node.ID), a.Node.Epoch, a.Token, w.claim(a.ClaimID), w.ref(a.To), mode, w.instance(a.Info.Instance), w.now(e),
		boolean(kind.Timed()), boolean(e.Answered), w.answered(e), w.node(cmp.Or(e.Op.Result.Node.Ref.ID, a.Node.ID)))
}

func (w *writer) answered(e Event) string {
	got := e.answered()
	record, member := "NoRecord", "NoMember"
	if r := got.record; r.Version > 0 {
		record = fmt.Sprintf("[holder |-> %s, token |-> %d, version |-> %d, expiry |-> %d, claim |-> %d]",
			w.ref(r.Holder), r.Token, r.Version, w.ticks(r.Expiry), w.claim(r.ClaimID))
	}
	if n := got.node; !n.Ref.IsZero() {
		member = fmt.Sprintf("[epoch |-> %d, status |-> %q, seen |-> %d, instance |-> %d]", n.Ref.Epoch, n.Status, w.ticks(n.LastSeen), w.instance(n.Info.Instance))
	}
	return fmt.Sprintf("[reason |-> %q, record |-> %s, member |-> %s]", op.ReasonOf(got.reason), record, member)
}

func boolean(b bool) string { return strings.ToUpper(fmt.Sprint(b)) }

// answer reads what TLC expects, back in the history's names.
func (w *writer) answer(e Event, v stategraph.Value) answer {
	for _, written := range w.t.Events {
		w.event(written) // numbers the names as the module does
	}
	var got answer
	if reason := v.Get("reason").Str; reason != "" {
		got.reason = op.Reason(reason).Err()
	}
	if r := v.Get("record"); r.Get("version").Num > 0 {
		got.record = registry.Placement{
			Actor: e.Op.Call.Actor, Token: registry.Token(r.Get("token").Num), Version: registry.Version(r.Get("version").Num),
			Expiry: w.instant(r.Get("expiry").Num),
		}
		if h := r.Get("holder"); h.Get("epoch").Num > 0 {
			got.record.Holder = registry.NodeRef{ID: w.nodeNamed(h.Get("id").Str), Epoch: registry.Epoch(h.Get("epoch").Num)}
		}
	}
	if m := v.Get("member"); m.Get("epoch").Num > 0 {
		got.node.Ref = registry.NodeRef{ID: cmp.Or(e.Op.Result.Node.Ref.ID, e.Op.Call.Node.ID), Epoch: registry.Epoch(m.Get("epoch").Num)}
		got.node.LastSeen = w.instant(m.Get("seen").Num)
		if i := int(m.Get("instance").Num); i > 0 && i <= len(w.instances.list) {
			got.node.Info.Instance = w.instances.list[i-1]
		}
		for s := registry.NodeActive; s <= registry.NodeLeft; s++ {
			if s.String() == m.Get("status").Str {
				got.node.Status = s
			}
		}
	}
	return got
}

func (w *writer) nodeNamed(text string) registry.NodeID {
	number, _ := strings.CutPrefix(text, "n")
	if i, err := strconv.Atoi(number); err == nil && 1 <= i && i <= len(w.nodes.list) && fmt.Sprint("n", i) == text {
		return w.nodes.list[i-1]
	}
	return registry.NodeID(text)
}
