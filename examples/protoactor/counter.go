package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/internal/counters"
	"github.com/kelpie-registry/registry/examples/protoactor/lookup"
)

const (
	kindName = "counter"

	// callTimeout is the store's client's, as long as those of databases often are. It
	// says nothing about leases: the fence does.
	callTimeout = 30 * time.Second
)

func counterKind(store string, think time.Duration) *cluster.Kind {
	return cluster.NewKind(kindName, actor.PropsFromProducer(func() actor.Actor {
		return &counter{store: store, think: think}
	}))
}

// counter is the virtual actor. It keeps its state in memory and writes it whole.
type counter struct {
	store  string
	think  time.Duration
	loaded bool
	state  counters.Counter
}

// Receive implements actor.Actor. An increment is the client's name and number for it.
func (c *counter) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(*wrapperspb.StringValue)
	if !ok {
		return
	}
	value, err := c.increment(ctx, m.Value)
	if err != nil {
		// What is in memory can no longer be trusted: the next activation reads what landed.
		ctx.Respond(&cluster.GrainErrorResponse{Message: err.Error()})
		ctx.Stop(ctx.Self())
		return
	}
	ctx.Respond(wrapperspb.Int64(value))
}

// increment changes the state, writes it under the tenure's token, and returns the
// value. A process may be stopped anywhere in it.
func (c *counter) increment(ctx actor.Context, asked string) (int64, error) {
	w := counters.Write{
		Actor:      cluster.GetClusterIdentity(ctx).Identity,
		Token:      token(ctx),
		Activation: ctx.Self().String(),
		Accepted:   time.Now().UnixNano(),
	}
	client, text, _ := strings.Cut(asked, "#")
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not client#number", asked)
	}
	call, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if !c.loaded {
		if err := counters.Post(call, c.store+"/load", w, &c.state); err != nil {
			return 0, err
		}
		c.loaded = true
	}
	if c.state.Done[client] >= number {
		return c.state.Value, nil // a repetition of one that was counted
	}
	w.Counter = counters.Counter{Value: c.state.Value + 1, Done: map[string]uint64{}}
	for client, n := range c.state.Done {
		w.Counter.Done[client] = n
	}
	w.Counter.Done[client] = number
	time.Sleep(c.think)
	if err := counters.Post(call, c.store+"/save", w, &c.state); err != nil {
		return 0, err
	}
	return c.state.Value, nil
}

// token is the fencing token of the activation, 0 where the lookup has none.
func token(ctx actor.Context) registry.Token {
	if t := lookup.Tenure(ctx); t != nil {
		return t.Token()
	}
	return 0
}
