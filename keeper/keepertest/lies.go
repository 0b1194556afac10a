package keepertest

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
)

var (
	leases  = []string{"Claim", "Renew", "Transfer", "RenewBatch"}
	changes = []string{"Claim", "Renew", "RenewBatch", "Release", "Transfer", "RegisterNode", "Heartbeat", "DeregisterNode", "MarkFailed"}
	reads   = []string{"Lookup", "GetNode", "ListNodes", "Watch"}
	all     = slices.Concat(changes, reads)
)

// Lies returns every kind of answer that no registry may give, or that comes as
// no answer should, each under its own name. The list grows: a test goes through
// all of it.
func Lies() []Lie {
	return slices.Concat(leaseLies(), refusalLies(), batchLies(), recordLies(), memberLies(), silences())
}

// leaseLies are wrong in what is granted, or was not.
func leaseLies() []Lie {
	var lies []Lie
	for name, spoil := range map[string]func(l *registry.Lease, asked registry.Lease){
		"another actor":            func(l *registry.Lease, _ registry.Lease) { l.Actor.Name += "x" },
		"no actor":                 func(l *registry.Lease, _ registry.Lease) { l.Actor = registry.ActorID{} },
		"another holder":           func(l *registry.Lease, _ registry.Lease) { l.Holder.ID += "x" },
		"another incarnation":      func(l *registry.Lease, _ registry.Lease) { l.Holder.Epoch++ },
		"no holder":                func(l *registry.Lease, _ registry.Lease) { l.Holder = registry.NodeRef{} },
		"token 0":                  func(l *registry.Lease, _ registry.Lease) { l.Token = 0 },
		"version 0":                func(l *registry.Lease, _ registry.Lease) { l.Version = 0 },
		"another claim":            func(l *registry.Lease, _ registry.Lease) { l.ClaimID = registry.ClaimID{1}; l.Version = 0 },
		"expired for long":         func(l *registry.Lease, _ registry.Lease) { l.Expiry = l.Expiry.Add(-time.Hour) },
		"expired in 1970":          func(l *registry.Lease, _ registry.Lease) { l.Expiry = 0 },
		"expired before all time":  func(l *registry.Lease, _ registry.Lease) { l.Expiry = math.MinInt64 },
		"an expiry hours ahead":    func(l *registry.Lease, _ registry.Lease) { l.Expiry = l.Expiry.Add(5 * time.Hour) },
		"an expiry years ahead":    func(l *registry.Lease, _ registry.Lease) { l.Expiry = l.Expiry.Add(100_000 * time.Hour) },
		"an expiry after all time": func(l *registry.Lease, _ registry.Lease) { l.Expiry = math.MaxInt64 },
		"a lease of nothing":       func(l *registry.Lease, _ registry.Lease) { *l = registry.Lease{} },
	} {
		lies = append(lies, Lie{Name: "granted with " + name, Ops: leases, Tell: granting(spoil, true)})
	}
	lies = append(lies, Lie{Name: "granted a lease of nothing, and nothing done", Ops: leases, Tell: granting(func(l *registry.Lease, _ registry.Lease) { *l = registry.Lease{} }, false)})
	for name, spoil := range map[string]func(l *registry.Lease, asked registry.Lease){
		"a lower token":                  func(l *registry.Lease, asked registry.Lease) { *l = asked; l.Token--; l.Version++ },
		"a higher token":                 func(l *registry.Lease, asked registry.Lease) { l.Token = asked.Token + 1 },
		"an old version":                 func(l *registry.Lease, asked registry.Lease) { l.Version = asked.Version },
		"the lease that was asked about": func(l *registry.Lease, asked registry.Lease) { *l = asked },
		"an expiry that went back":       func(l *registry.Lease, asked registry.Lease) { l.Expiry = asked.Expiry - 1 },
	} {
		lies = append(lies, Lie{Name: "renewed with " + name, Ops: []string{"Renew", "RenewBatch"}, Tell: granting(spoil, true)})
	}
	for name, spoil := range map[string]func(l *registry.Lease, asked registry.Lease){
		"another actor":         func(l *registry.Lease, _ registry.Lease) { l.Actor.Name += "x" },
		"another holder":        func(l *registry.Lease, _ registry.Lease) { l.Holder.ID += "x" },
		"another incarnation":   func(l *registry.Lease, _ registry.Lease) { l.Holder.Epoch-- },
		"a higher token":        func(l *registry.Lease, _ registry.Lease) { l.Token++ },
		"a lower token":         func(l *registry.Lease, _ registry.Lease) { l.Token-- },
		"the same version":      func(l *registry.Lease, _ registry.Lease) { l.Version-- },
		"an expiry years ahead": func(l *registry.Lease, _ registry.Lease) { l.Expiry = l.Expiry.Add(100_000 * time.Hour) },
	} {
		lies = append(lies, Lie{Name: "renewed with " + name + ", and nothing done", Ops: []string{"Renew", "RenewBatch"}, Tell: pretending(spoil)})
	}
	slices.SortFunc(lies, func(a, b Lie) int { return strings.Compare(a.Name, b.Name) })
	return lies
}

// granting spoils each lease of an answer that has no error. With done false
// nothing is done, and no error told.
func granting(spoil func(l *registry.Lease, asked registry.Lease), done bool) func(context.Context, Question, func() Answer) Answer {
	return func(_ context.Context, q Question, truth func() Answer) Answer {
		a := Answer{Renewals: make([]registry.Renewal, len(q.Leases))}
		if done {
			a = truth()
		}
		if a.Err == nil && q.Op != "RenewBatch" {
			spoil(&a.Lease, q.Lease)
		}
		for i := range a.Renewals {
			if a.Renewals[i].Err == nil {
				spoil(&a.Renewals[i].Lease, q.Leases[i])
			}
		}
		return a
	}
}

// pretending answers as if a lease had been renewed, but for the spoilt part.
func pretending(spoil func(l *registry.Lease, asked registry.Lease)) func(context.Context, Question, func() Answer) Answer {
	renewed := func(l registry.Lease) registry.Lease {
		asked := l
		l.Version++
		l.Expiry = l.Expiry.Add(10 * time.Second)
		spoil(&l, asked)
		return l
	}
	return func(_ context.Context, q Question, _ func() Answer) Answer {
		a := Answer{Lease: renewed(q.Lease)}
		for _, l := range q.Leases {
			a.Renewals = append(a.Renewals, registry.Renewal{Lease: renewed(l)})
		}
		return a
	}
}

// refusalLies are errors that the contract does not know, or not of that operation.
func refusalLies() []Lie {
	held := func(p registry.Placement) error { return &registry.Refusal{Reason: registry.ErrHeld, Placement: p} }
	other := registry.NodeRef{ID: "other", Epoch: 1}
	return []Lie{
		failing("an error of no contract", all, func(Question) error { return errors.New("status 418") }),
		failing("an error of no contract, after it was done", changes, func(Question) error { return errors.New("status 418") }).behind(),
		failing("two refusals at once", changes, func(Question) error {
			return errors.Join(registry.ErrFenced, registry.ErrUnavailable, registry.ErrHeld)
		}),
		failing("held, without saying by whom", []string{"Claim"}, func(Question) error { return registry.ErrHeld }),
		failing("held, by nobody", []string{"Claim"}, func(Question) error { return held(registry.Placement{}) }),
		failing("held, but released", []string{"Claim"}, func(q Question) error {
			return held(registry.Placement{Actor: q.Actor, Token: 1, Version: 2})
		}),
		failing("held, long ago", []string{"Claim"}, func(q Question) error {
			return held(registry.Placement{Actor: q.Actor, Holder: other, Token: 1, Version: 1, Expiry: 1})
		}),
		failing("held, for ever", []string{"Claim"}, func(q Question) error {
			return held(registry.Placement{Actor: q.Actor, Holder: other, Token: 1, Version: 1, Expiry: math.MaxInt64})
		}),
		failing("held, another actor", []string{"Claim"}, func(q Question) error {
			return held(registry.Placement{Actor: registry.ActorID{Namespace: "x", Name: "y"}, Holder: other, Token: 1, Version: 1, Expiry: math.MaxInt64})
		}),
		failing("claim is fenced", []string{"Claim"}, refusing(registry.ErrFenced)),
		failing("claim has lapsed", []string{"Claim"}, refusing(registry.ErrLapsed)),
		failing("claim is alive", []string{"Claim"}, refusing(registry.ErrNodeAlive)),
		failing("renewal is held", []string{"Renew", "RenewBatch"}, refusing(registry.ErrHeld)),
		failing("renewal of a failed node", []string{"Renew", "RenewBatch"}, refusing(registry.ErrNodeFailed)),
		failing("fenced by a lower token", []string{"Renew", "RenewBatch", "Release"}, func(q Question) error {
			return &registry.Refusal{Reason: registry.ErrFenced, Placement: registry.Placement{Actor: q.Actor, Holder: other, Token: 0, Version: 1}}
		}),
		failing("another actor's refusal", []string{"Renew", "RenewBatch", "Release", "Transfer"}, func(Question) error {
			return &registry.Refusal{Reason: registry.ErrNotHeld, Placement: registry.Placement{Actor: registry.ActorID{Namespace: "x", Name: "y"}, Token: 1, Version: 1}}
		}),
		failing("heartbeat is held", []string{"Heartbeat", "RegisterNode", "DeregisterNode", "MarkFailed"}, refusing(registry.ErrHeld)),
		failing("another node has failed", []string{"Heartbeat"}, func(Question) error {
			return &registry.Refusal{Reason: registry.ErrNodeFailed, Node: registry.Node{Ref: other, Status: registry.NodeFailed}}
		}),
		failing("a read is refused", reads, refusing(registry.ErrNotHeld)),
	}
}

func refusing(reason error) func(Question) error {
	return func(Question) error { return &registry.Refusal{Reason: reason} }
}

// failing answers with an error and does nothing.
func failing(name string, ops []string, err func(Question) error) Lie {
	return Lie{Name: name, Ops: ops, Tell: func(_ context.Context, q Question, _ func() Answer) Answer {
		a := Answer{Err: err(q)}
		for _, l := range q.Leases {
			a.Renewals = append(a.Renewals, registry.Renewal{Err: err(ofLease("Renew", l))})
		}
		return a
	}}
}

// behind carries the call out before it lies.
func (l Lie) behind() Lie {
	tell := l.Tell
	l.Tell = func(ctx context.Context, q Question, truth func() Answer) Answer {
		truth()
		return tell(ctx, q, truth)
	}
	return l
}

// batchLies have another form than was asked for.
func batchLies() []Lie {
	form := func(name string, spoil func([]registry.Renewal) []registry.Renewal) Lie {
		return Lie{Name: name, Ops: []string{"RenewBatch"}, Tell: func(_ context.Context, _ Question, truth func() Answer) Answer {
			a := truth()
			a.Renewals = spoil(a.Renewals)
			return a
		}}
	}
	return []Lie{
		form("a batch without answers", func([]registry.Renewal) []registry.Renewal { return nil }),
		form("a batch that is shorter", func(r []registry.Renewal) []registry.Renewal { return r[:len(r)-1] }),
		form("a batch that lacks its first", func(r []registry.Renewal) []registry.Renewal { return r[1:] }),
		form("a batch that is longer", func(r []registry.Renewal) []registry.Renewal { return append(r, r...) }),
		form("a batch in another order", func(r []registry.Renewal) []registry.Renewal { slices.Reverse(r); return r }),
		form("a batch of one answer", func(r []registry.Renewal) []registry.Renewal { return slices.Repeat(r[:1], len(r)) }),
		{Name: "a batch that overwrites its question", Ops: []string{"RenewBatch"}, Tell: func(_ context.Context, q Question, truth func() Answer) Answer {
			a := truth()
			for i := range q.Leases {
				q.Leases[i] = registry.Lease{}
			}
			return a
		}},
	}
}

// recordLies are wrong about a record that was looked up or watched.
func recordLies() []Lie {
	record := func(name string, spoil func(Question, *Answer)) Lie {
		return Lie{Name: name, Ops: []string{"Lookup", "Watch"}, Tell: func(_ context.Context, q Question, truth func() Answer) Answer {
			var a Answer
			if q.Op == "Lookup" {
				a = truth()
			}
			spoil(q, &a)
			return a
		}}
	}
	return []Lie{
		record("a watch that wakes for nothing", func(Question, *Answer) {}),
		record("the record of another actor", func(_ Question, a *Answer) {
			a.Lease.Actor = registry.ActorID{Namespace: "x", Name: "y"}
			a.Lease.Holder = registry.NodeRef{}
		}),
		record("a record that is gone", func(_ Question, a *Answer) { *a = Answer{} }),
		record("a record without holder", func(q Question, a *Answer) {
			a.Lease.Actor, a.Lease.Holder, a.Found = q.Actor, registry.NodeRef{}, true
		}),
		record("a record that never expires", func(q Question, a *Answer) { a.Lease.Actor, a.Lease.Expiry, a.Found = q.Actor, math.MaxInt64, true }),
		record("a record that expired before all time", func(q Question, a *Answer) { a.Lease.Actor, a.Lease.Expiry, a.Found = q.Actor, math.MinInt64, true }),
	}
}

// memberLies are wrong about nodes.
func memberLies() []Lie {
	node := func(name string, spoil func(*registry.Node)) Lie {
		return Lie{Name: name, Ops: []string{"RegisterNode", "GetNode", "ListNodes"}, Tell: func(_ context.Context, _ Question, truth func() Answer) Answer {
			a := truth()
			spoil(&a.Node)
			for i := range a.Nodes {
				spoil(&a.Nodes[i])
			}
			return a
		}}
	}
	return []Lie{
		node("another node", func(n *registry.Node) { n.Ref.ID += "x" }),
		node("epoch 0", func(n *registry.Node) { n.Ref.Epoch = 0 }),
		node("no node", func(n *registry.Node) { *n = registry.Node{} }),
		node("a node that has left", func(n *registry.Node) { n.Status = registry.NodeLeft }),
		{Name: "a list without end", Ops: []string{"ListNodes"}, Tell: func(_ context.Context, _ Question, truth func() Answer) Answer {
			a := truth()
			a.Next = "more"
			return a
		}},
		{Name: "a list without end and rows", Ops: []string{"ListNodes"}, Tell: func(ctx context.Context, _ Question, _ func() Answer) Answer {
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
			return Answer{Next: "more"}
		}},
	}
}

// silences are answers that come late or not at all. Those that end with their
// context say that nothing happened.
func silences() []Lie {
	until := func(ctx context.Context, q Question) Answer {
		<-ctx.Done()
		return failing("", nil, func(Question) error { return ctx.Err() }).Tell(ctx, q, nil)
	}
	return []Lie{
		{Name: "silence", Ops: all, Tell: func(ctx context.Context, q Question, _ func() Answer) Answer { return until(ctx, q) }},
		{Name: "silence, after it was done", Ops: changes, Tell: func(ctx context.Context, q Question, truth func() Answer) Answer {
			truth()
			return until(ctx, q)
		}},
		Late(time.Minute),
	}
}

// Late answers truly, but a time after the call, whatever becomes of its context.
func Late(by time.Duration) Lie {
	return Lie{Name: "late by " + by.String(), Ops: all, Tell: func(_ context.Context, _ Question, truth func() Answer) Answer {
		a := truth()
		time.Sleep(by)
		return a
	}}
}
