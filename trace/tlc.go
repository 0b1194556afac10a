package trace

import (
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

// CheckTLC has TLC replay the trace through Registry.tla. The error is a
// [*Rejection] when TLC rejects it; it matches tlc.ErrNoTLC where TLC cannot be
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
	out, err := tlc.Run(ctx, tool, tlc.Job{FS: os.DirFS(dir), Module: dataModule, Config: cfg, JVM: []string{"-Xss64m"}})
	if err != nil {
		return err
	}
	switch {
	case out.Verdict == tlc.Invariant && out.Violated == "NotAccepted":
		return nil
	case out.Verdict == tlc.Deadlock && len(out.Trace) > 0:
		return t.rejection(out.Trace[len(out.Trace)-1])
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
// claim ids numbers, and instants ticks since the trace's start.
type writer struct {
	t      Trace
	tick   time.Duration
	nodes  names[registry.NodeID]
	actors names[registry.ActorID]
	claims names[registry.ClaimID]
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

// newWriter chooses the longest tick of which all durations and differences of
// instants are multiples, so that nothing is rounded.
func newWriter(t Trace) (*writer, error) {
	w := &writer{t: t}
	var far time.Duration
	see := func(d time.Duration) {
		w.tick = gcd(w.tick, d.Abs())
		far = max(far, d.Abs())
	}
	for _, d := range []time.Duration{t.Config.TTL, t.Config.Grace, t.Config.MaxClockSkew, t.Config.FailureTimeout} {
		see(d)
	}
	for _, e := range t.Events {
		if e.Op.Call.Kind.Timed() {
			see(e.Now.Sub(t.start()))
		}
		if e.Op.Result.Record.Version > 0 {
			see(e.Op.Result.Record.Expiry.Sub(t.start()))
		}
		if !e.Op.Result.Node.Ref.IsZero() {
			see(e.Op.Result.Node.LastSeen.Sub(t.start()))
		}
	}
	if far/w.tick > maxTicks {
		return nil, fmt.Errorf("%w: %v in ticks of %v", ErrTooFine, far, w.tick)
	}
	return w, nil
}

func gcd(a, b time.Duration) time.Duration {
	for b != 0 {
		a, b = b, a%b
	}
	return a
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
	text := fmt.Sprintf("---- MODULE %s ----\nEXTENDS RegistryTrace\nTheTrace == <<\n%s\n>>\n====\n", dataModule, strings.Join(events, ",\n"))
	cfg := tlc.Config{Specification: "TraceSpec", Invariants: []string{"NotAccepted"}}
	ticks := func(d time.Duration) string { return fmt.Sprint(int64(d / w.tick)) }
	for _, c := range [][2]string{
		{"Nodes", set("n", len(w.nodes.list))}, {"Actors", set("a", len(w.actors.list))},
		{"ClaimIDs", "{1}"}, {"Instances", "{0}"}, {"Joined", "{}"}, {"Acts", "{}"}, {"Dropped", "{}"},
		{"TTL", ticks(t.Config.TTL)}, {"Grace", ticks(t.Config.Grace)}, {"Eps", ticks(t.Config.MaxClockSkew)},
		{"Margin", ticks(2 * t.Config.MaxClockSkew)}, {"FailureTimeout", ticks(t.Config.FailureTimeout)},
		{"MaxToken", fmt.Sprint(maxTicks)}, {"MaxEpoch", fmt.Sprint(maxTicks)}, {"MaxVersion", fmt.Sprint(maxTicks)}, {"MaxWrites", "0"},
		{"Trace", "<- TheTrace"},
	} {
		cfg.Set(c[0], c[1])
	}
	return text, cfg, nil
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

func (w *writer) ticks(i registry.Instant) int64 { return int64(i.Sub(w.t.start()) / w.tick) }

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
	return fmt.Sprintf("[op |-> %q, actor |-> %s, node |-> Ref(%s, %d), token |-> %d, claim |-> %d, to |-> %s, mode |-> %q, instance |-> 0, now |-> %d, answered |-> %s, answer |-> %s]",
		kind, w.actor(a.Actor), w.node(a.Node.ID), a.Node.Epoch, a.Token, w.claim(a.ClaimID), w.ref(a.To), mode, w.now(e),
		strings.ToUpper(fmt.Sprint(e.Answered)), w.answered(e))
}

func (w *writer) answered(e Event) string {
	got := e.answered()
	if got.reason != nil {
		return fmt.Sprintf("Refused(%q)", op.ReasonOf(got.reason))
	}
	record, member := "NoRecord", "NoMember"
	if r := got.record; r.Version > 0 {
		record = fmt.Sprintf("[holder |-> %s, token |-> %d, version |-> %d, expiry |-> %d, claim |-> %d]",
			w.ref(r.Holder), r.Token, r.Version, w.ticks(r.Expiry), w.claim(r.ClaimID))
	}
	if n := got.node; !n.Ref.IsZero() {
		member = fmt.Sprintf("[epoch |-> %d, status |-> %q, seen |-> %d, instance |-> 0]", n.Ref.Epoch, n.Status, w.ticks(n.LastSeen))
	}
	return fmt.Sprintf("Ok(%s, %s)", record, member)
}

// answer reads what TLC expects, back in the history's names.
func (w *writer) answer(e Event, v stategraph.Value) answer {
	for _, written := range w.t.Events {
		w.event(written) // numbers the names as the module does
	}
	if reason := v.Get("reason").Str; reason != "" {
		return answer{reason: op.Reason(reason).Err()}
	}
	instant := func(v stategraph.Value) registry.Instant {
		return w.t.start().Add(time.Duration(v.Num) * w.tick)
	}
	var got answer
	if r := v.Get("record"); r.Get("version").Num > 0 {
		got.record = registry.Placement{
			Actor: e.Op.Call.Actor, Token: registry.Token(r.Get("token").Num), Version: registry.Version(r.Get("version").Num),
			Expiry: instant(r.Get("expiry")),
		}
		if h := r.Get("holder"); h.Get("epoch").Num > 0 {
			got.record.Holder = registry.NodeRef{ID: w.nodeNamed(h.Get("id").Str), Epoch: registry.Epoch(h.Get("epoch").Num)}
		}
	}
	if m := v.Get("member"); m.Get("epoch").Num > 0 {
		got.node.Ref = registry.NodeRef{ID: e.Op.Call.Node.ID, Epoch: registry.Epoch(m.Get("epoch").Num)}
		got.node.LastSeen = instant(m.Get("seen"))
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
