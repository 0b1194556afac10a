package lookup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/protoactor/lookup"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/op"
)

var cfg = registry.Config{TTL: time.Second, Grace: 100 * time.Millisecond, MaxClockSkew: 10 * time.Millisecond, FailureTimeout: 5 * time.Second}

// ledger is what the actors write to: a counter for each, behind a fence. It notes who
// was at work when.
type ledger struct {
	mu     sync.Mutex
	value  map[string]int64
	fence  map[string]registry.Token
	turns  map[string][]string // by actor, its activations in the order of their turns at work
	onStop func(actor string)
}

func newLedger() *ledger {
	return &ledger{value: map[string]int64{}, fence: map[string]registry.Token{}, turns: map[string][]string{}}
}

var errFenced = errors.New("fenced")

// turn notes that an activation begins a request.
func (l *ledger) turn(actor, activation string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.turns[actor]; len(t) == 0 || t[len(t)-1] != activation {
		l.turns[actor] = append(t, activation)
	}
}

func (l *ledger) load(actor string, token registry.Token) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if token < l.fence[actor] {
		return 0, errFenced
	}
	l.fence[actor] = token
	return l.value[actor], nil
}

func (l *ledger) save(actor string, token registry.Token, value int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if token < l.fence[actor] {
		return errFenced
	}
	l.value[actor] = value
	return nil
}

// requireOneAtATime fails the test when an activation worked again after another.
func (l *ledger) requireOneAtATime(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for actor, turns := range l.turns {
		seen := map[string]bool{}
		for _, a := range turns {
			require.False(t, seen[a], "%s: %s worked again after another: %v", actor, a, turns)
			seen[a] = true
		}
	}
}

// counter counts the messages that it gets, in memory, and writes each count.
type counter struct {
	*ledger
	value  int64
	loaded bool
}

func (c *counter) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *wrapperspb.StringValue:
		name, token := cluster.GetClusterIdentity(ctx).Identity, lookup.Tenure(ctx).Token()
		c.turn(name, ctx.Self().String())
		err := c.increment(name, token)
		if err != nil {
			ctx.Respond(&cluster.GrainErrorResponse{Message: err.Error()})
			ctx.Stop(ctx.Self())
			return
		}
		ctx.Respond(wrapperspb.Int64(c.value))
	case *actor.Stopped:
		if c.onStop != nil {
			c.onStop(cluster.GetClusterIdentity(ctx).Identity)
		}
	}
}

func (c *counter) increment(name string, token registry.Token) (err error) {
	if !c.loaded {
		if c.value, err = c.load(name, token); err != nil {
			return err
		}
		c.loaded = true
	}
	if err = c.save(name, token, c.value+1); err == nil {
		c.value++
	}
	return err
}

// network is one registry and the members' ways to it, which can be cut.
type network struct {
	*memimpl.Store
	*ledger
}

func newNetwork(t *testing.T) *network {
	s, err := memimpl.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &network{s, newLedger()}
}

// member is a process of the cluster; cut ends its way to the registry.
type member struct {
	*cluster.Cluster
	lookup *lookup.Lookup
	cut    atomic.Bool
}

func (n *network) configure(t *testing.T) *member {
	inner, err := n.Open(cfg, registry.SystemClock())
	require.NoError(t, err)
	m := &member{}
	handle := op.Handle(func(ctx context.Context, c op.Call) op.Result {
		if m.cut.Load() {
			return op.Failed(fmt.Errorf("the way is cut: %w", registry.ErrUnavailable))
		}
		return op.Do(ctx, inner, &c)
	}, op.Powers{})
	m.lookup = lookup.New(lookup.Options{Handle: handle, Config: cfg})
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	kind := cluster.NewKind("counter", actor.PropsFromProducer(func() actor.Actor { return &counter{ledger: n.ledger} }))
	m.Cluster = cluster.New(system, cluster.Configure("test", m.lookup.Members(), m.lookup,
		remote.Configure("127.0.0.1", 0), cluster.WithKinds(kind), cluster.WithRequestTimeout(time.Second)))
	return m
}

// start starts members, all at once, and a client.
func (n *network) start(t *testing.T, members int) (client *member, all []*member) {
	var wg sync.WaitGroup
	for range members {
		m := n.configure(t)
		all = append(all, m)
		wg.Go(m.StartMember)
		t.Cleanup(m.lookup.Shutdown)
	}
	client = n.configure(t)
	wg.Go(client.StartClient)
	wg.Wait()
	return client, all
}

// patient is how long a test waits for what must happen: long, for busy machines.
const patient = time.Minute

// increment asks until it is answered, and returns the count.
func increment(t *testing.T, c *member, name string) int64 {
	t.Helper()
	for end := time.Now().Add(patient); time.Now().Before(end); {
		answer, err := c.Request(name, "counter", wrapperspb.String("increment"))
		if v, ok := answer.(*wrapperspb.Int64Value); ok && err == nil {
			return v.Value
		}
	}
	t.Fatalf("%s was not incremented within %v", name, patient)
	return 0
}

// within returns what is told in time.
func within[T any](t *testing.T, told <-chan T) T {
	t.Helper()
	select {
	case v := <-told:
		return v
	case <-time.After(patient):
		t.Fatalf("it did not happen within %v", patient)
		panic("unreachable")
	}
}

func id(name string) registry.ActorID { return registry.ActorID{Namespace: "counter", Name: name} }

// holder returns who has the actor.
func (n *network) holder(t *testing.T, name string) registry.NodeRef {
	h, err := n.Open(cfg, registry.SystemClock())
	require.NoError(t, err)
	defer h.Close()
	p, _, err := h.Lookup(context.Background(), id(name)) // also while the test ends
	require.NoError(t, err)
	return p.Holder
}

// Contract 6. While one member loses the registry and another leaves, under load, no
// two activations of an actor are at work, and no count that was answered is lost.
func TestOneActivationWhileMembersComeAndGo(t *testing.T) {
	n := newNetwork(t)
	client, members := n.start(t, 3)
	const actors = 12
	var phase atomic.Int32
	var answered [actors]atomic.Int32 // by actor, the last phase in which it answered
	var load sync.WaitGroup
	for a := range actors {
		load.Go(func() {
			for last := int64(0); phase.Load() < 3 && !t.Failed(); {
				now := phase.Load()
				count := increment(t, client, fmt.Sprint("c", a))
				assert.Greater(t, count, last, "a count that was answered is lost")
				last = count
				answered[a].Store(now)
			}
		})
	}
	settled := func() {
		require.Eventually(t, func() bool {
			for a := range answered {
				if answered[a].Load() < phase.Load() {
					return false
				}
			}
			return true
		}, patient, 20*time.Millisecond)
	}
	settled()
	members[0].cut.Store(true)
	phase.Add(1)
	settled()
	members[1].lookup.Shutdown()
	phase.Add(1)
	settled()
	phase.Add(1)
	load.Wait()
	n.requireOneAtATime(t)
}

// Contract 6. An activation has stopped when its lease is released.
func TestStopsBeforeItReleases(t *testing.T) {
	n := newNetwork(t)
	client, members := n.start(t, 1)
	held := make(chan registry.NodeRef, 1)
	n.onStop = func(name string) { held <- n.holder(t, name) }
	assert.EqualValues(t, 1, increment(t, client, "a"))
	pid := client.Get("a", "counter")
	require.NotNil(t, pid)

	members[0].lookup.RemovePid(cluster.NewClusterIdentity("a", "counter"), pid)
	assert.Equal(t, registry.NodeID(members[0].ActorSystem.ID), within(t, held).ID, "while it stops it has its lease")
	require.Eventually(t, func() bool { return n.holder(t, "a").IsZero() }, patient, time.Millisecond, "released when it has stopped")
	assert.EqualValues(t, 2, increment(t, client, "a"), "and activated again")
}

// Contract 6. An activation whose tenure is lost takes no message, and its sender is
// told at once.
func TestLostActivationTakesNothing(t *testing.T) {
	n := newNetwork(t)
	client, members := n.start(t, 1)
	stopped := make(chan string, 1)
	n.onStop = func(name string) { stopped <- name }
	increment(t, client, "a")
	pid := client.Get("a", "counter")
	require.NotNil(t, pid)

	members[0].cut.Store(true)
	assert.Equal(t, "a", within(t, stopped))
	_, err := client.ActorSystem.Root.RequestFuture(pid, wrapperspb.String("increment"), patient).Result()
	require.ErrorIs(t, err, actor.ErrDeadLetter)
	assert.Nil(t, client.Get("a", "counter"), "nobody can claim it for the member")

	members[0].cut.Store(false)
	assert.EqualValues(t, 2, increment(t, client, "a"))
}
