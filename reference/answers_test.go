package reference

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/op"
)

// question is a call in a state of the specification, with every answer that is
// right there: by the text of the answer.
type question struct {
	state int
	call  stategraph.Value
	right map[string]bool
}

// questions groups the edges of a graph of answers.
func questions(t testing.TB, g stategraph.Graph) []question {
	var out []question
	labels := map[string]stategraph.Value{}
	for _, e := range g.Edges {
		v, known := labels[e.Action]
		if !known {
			var err error
			v, err = stategraph.ParseValue(e.Action)
			require.NoError(t, err)
			require.Len(t, v.Items, 2, e.Action)
			labels[e.Action] = v
		}
		if n := len(out); n == 0 || out[n-1].state != e.From || out[n-1].call.String() != v.Items[0].String() {
			out = append(out, question{e.From, v.Items[0], map[string]bool{}})
		}
		out[len(out)-1].right[v.Items[1].String()] = true
	}
	return out
}

type fixedClock registry.Instant

func (c fixedClock) Now() registry.Instant { return registry.Instant(c) }

// callOf reads a call as RegistryAsked prints it: of an actor or of a node.
func callOf(y *System, v stategraph.Value) (c op.Call, now registry.Instant) {
	args := v.Items
	ref := func(i int) registry.NodeRef {
		return registry.NodeRef{ID: registry.NodeID(args[i].Str), Epoch: registry.Epoch(args[i+1].Num)}
	}
	c.Kind = op.KindOf(args[0].Str)
	now = registry.Instant(args[len(args)-1].Num)
	if c.Kind.OfNode() {
		c.Node = ref(1)
		if c.Kind == op.RegisterNode || c.Kind == op.GetNode {
			c.Node.Epoch = 0
		}
		if args[3].Str == "supersede" {
			c.Mode = registry.Supersede
		}
		return c, now
	}
	c.Actor, c.Node, c.Token, c.To = y.actor(0), ref(2), registry.Token(args[4].Num), ref(6)
	if c.Kind == op.Claim {
		c.ClaimID = claimID(int(args[5].Num))
	}
	return c, now
}

// ask carries the call out on a store in state s and returns the answer in the
// specification's words: the reason of a refusal, or what a success left behind.
func ask(t testing.TB, y *System, s State, call stategraph.Value) (answer string, err error) {
	store := &Store{cfg: y.cfg}
	for a, r := range s.Records {
		if r.Version > 0 {
			store.records.put(y.actor(a), r)
		}
	}
	for n, m := range s.Members {
		if m.Ref.Epoch > 0 {
			store.members.put(y.bounds.Nodes[n], m)
		}
	}
	c, now := callOf(y, call)
	got := (&handle{store: store, clock: fixedClock(now)}).do(t.Context(), c)
	r, _ := store.records.get(c.Actor)
	m, _ := store.members.get(c.Node.ID)
	changesNothing(t, y, s, store, call, got.Err)
	switch {
	case got.Err != nil:
	case c.Kind.Grants():
		assert.Equal(t, r.Lease(), got.Lease(), "%v: the answer is the record", call)
	case c.Kind == op.Lookup:
		assert.Equal(t, r, got.Record, "%v", call)
		assert.Equal(t, r.Version > 0, got.Found, "%v", call)
	case c.Kind == op.RegisterNode, c.Kind == op.GetNode:
		assert.Equal(t, m, got.Node, "%v: the answer is the registration", call)
		assert.Equal(t, c.Kind == op.GetNode && m.Ref.Epoch > 0, got.Found, "%v", call)
	}
	if c.Kind.OfNode() {
		return stays(y, got.Err, m), got.Err
	}
	return left(y, got.Err, r), got.Err
}

// changesNothing: a refused call leaves every record and registration as it was.
func changesNothing(t testing.TB, y *System, s State, store *Store, call stategraph.Value, err error) {
	if err == nil {
		return
	}
	for a, r := range s.Records {
		if got, found := store.records.get(y.actor(a)); found != (r.Version > 0) || found && got != r {
			t.Errorf("%v is refused with %v and changes the record %+v", call, err, r)
		}
	}
	for n, m := range s.Members {
		if got, _ := store.members.get(y.bounds.Nodes[n]); m.Ref.Epoch > 0 && fmt.Sprint(got) != fmt.Sprint(m) {
			t.Errorf("%v is refused with %v and changes the registration %+v", call, err, m)
		}
	}
}

// left and stays print an answer as RegistryAsked does: the reason, and the
// record or registration after a success.
func left(y *System, err error, r Record) string {
	if err != nil || r.Version == 0 {
		r = Record{Expiry: y.expiryFloor()}
	}
	return fmt.Sprintf("<<%q, %q, %d, %d, %d, %d, %d>>",
		op.ReasonOf(err), r.Holder.ID, r.Holder.Epoch, r.Token, r.Version, r.Expiry, r.ClaimID[15])
}

func stays(y *System, err error, m Member) string {
	if err != nil || m.Ref.Epoch == 0 {
		m = Member{LastSeen: y.seenFloor()}
	}
	status := ""
	for name, s := range statuses {
		if s == m.Status {
			status = name
		}
	}
	return fmt.Sprintf("<<%q, %d, %q, %d>>", op.ReasonOf(err), m.Ref.Epoch, status, m.LastSeen)
}

// A refusal's details are true or absent (contract 3): the record and the
// registrations are those of the state, and the reading is the call's.
func trueDetails(y *System, s State, call stategraph.Value, err error) error {
	var d *registry.Refusal
	if !errors.As(err, &d) {
		return fmt.Errorf("%v: %w carries no details", call, err)
	}
	if d.Placement.Version > 0 && d.Placement != s.Records[0] {
		return fmt.Errorf("%v: %w tells of another record", call, err)
	}
	known := d.Node.Ref.IsZero()
	for _, m := range s.Members {
		known = known || m.Ref == d.Node.Ref && m.Status == d.Node.Status && m.LastSeen == d.Node.LastSeen
	}
	if !known {
		return fmt.Errorf("%v: %w tells of another registration", call, err)
	}
	if now := registry.Instant(call.Items[len(call.Items)-1].Num); d.Now != 0 && d.Now != now {
		return fmt.Errorf("%v: %w tells of another reading", call, err)
	}
	return nil
}

// Contract 3: whoever asks, with any incarnation, token, claim id and reading, in
// every type-correct state: the reference answers what the specification does.
// A success leaves the same behind, a refusal changes nothing and tells no lies. The
// last column of the contract's table has every refusal, and no more.
func TestReferenceAnswersAsTheSpecification(t *testing.T) {
	reasons := map[string][]string{}
	for _, m := range models(t, stategraph.Answers) {
		g, err := m.Load(specDir)
		require.NoError(t, err)
		inputs, err := m.Inputs(os.DirFS(specDir))
		require.NoError(t, err)
		require.Equal(t, inputs, g.Inputs, "%s is of other modules than those here; regenerate it with: go run ./ci/graphs", m.File)
		y := loadSystem(t, m.Config)
		states := make([]State, len(g.States))
		for i, text := range g.States {
			states[i], err = (&decoder{y: y}).state(text, "last")
			require.NoError(t, err)
		}
		asked, refused := 0, 0
		for _, q := range questions(t, g) {
			s := states[q.state]
			got, err := ask(t, y, s, q.call)
			if !q.right[got] {
				t.Fatalf("the reference answers otherwise than the specification\n  in state%s\n  call %v\n  reference     %s\n  Registry.tla  %v",
					variables(g.States[q.state]), q.call, got, q.right)
			}
			asked++
			if err != nil {
				refused++
				require.NoError(t, trueDetails(y, s, q.call, err))
				if kind, why := q.call.Items[0].Str, fmt.Sprint(op.ReasonOf(err)); !slices.Contains(reasons[kind], why) {
					reasons[kind] = append(reasons[kind], why)
				}
			}
		}
		t.Logf("%s: %d states, %d calls, %d refused", m.Name, len(states), asked, refused)
		assert.Greater(t, asked, 400_000)
		assert.Greater(t, refused, 200_000)
	}
	for _, of := range reasons {
		slices.Sort(of)
	}
	assert.Equal(t, reasons, refusalsInTheContract(t))
}
