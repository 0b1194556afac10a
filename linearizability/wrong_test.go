package linearizability

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
	"github.com/kelpie-registry/registry/op"
)

// book writes histories by hand. Operations follow one another unless their
// stamps are changed.
type book struct {
	history.History
	stamp int64
}

func newBook(nodes ...string) *book {
	b := &book{History: history.History{Config: simulate.Config}}
	for _, n := range nodes {
		b.register(n, 1)
	}
	return b
}

var actorA = registry.ActorID{Namespace: "ns", Name: "a"}

func when(d time.Duration) registry.Instant { return simulate.Start.Add(d) }

func ref(n string) registry.NodeRef { return registry.NodeRef{ID: registry.NodeID(n), Epoch: 1} }

func id(n byte) registry.ClaimID { return registry.ClaimID{n} }

// add appends an operation of client n, whose clock read d after the start.
func (b *book) add(n string, d time.Duration, c op.Call, r op.Result) *history.Op {
	b.stamp += 2
	r.Outcome = op.OK
	b.Ops = append(b.Ops, history.Op{
		ID: len(b.Ops), Client: n, Call: c, Result: r, Invoked: b.stamp, Returned: b.stamp + 1, Clock: history.Seen(when(d)),
	})
	return &b.Ops[len(b.Ops)-1]
}

func (b *book) register(n string, epoch registry.Epoch) *history.Op {
	node := registry.Node{Ref: registry.NodeRef{ID: registry.NodeID(n), Epoch: epoch}, Status: registry.NodeActive, LastSeen: simulate.Start}
	return b.add(n, 0, op.Call{Kind: op.RegisterNode, Node: registry.NodeRef{ID: node.Ref.ID}, Mode: registry.Supersede}, op.Result{Node: node})
}

// lease is the record of a grant to n by reading d.
func lease(n string, d time.Duration, claim byte, v registry.Version, t registry.Token) registry.Placement {
	return registry.Placement{Actor: actorA, Holder: ref(n), Token: t, Version: v, Expiry: when(d).Add(simulate.Config.TTL), ClaimID: id(claim)}
}

func (b *book) claim(n string, d time.Duration, claim byte, v registry.Version, t registry.Token) *history.Op {
	return b.add(n, d, op.Call{Kind: op.Claim, Actor: actorA, Node: ref(n), ClaimID: id(claim)}, op.Result{Record: lease(n, d, claim, v, t)})
}

// refused makes an operation one that was refused, with what it found.
func (b *book) refused(o *history.Op, why op.Reason, found registry.Placement) *history.Op {
	o.Result = op.Failed(&registry.Refusal{Reason: why.Err(), Placement: found})
	return o
}

// ended makes an operation one that ended without an answer.
func ended(o *history.Op, how op.Outcome) *history.Op {
	o.Result = op.Failed(how.Err("boom"))
	return o
}

// onTenure is a call on n's tenure with the token.
func onTenure(k op.Kind, n string, t registry.Token) op.Call {
	return op.Call{Kind: k, Actor: actorA, Node: ref(n), Token: t}
}

func (b *book) renew(n string, d time.Duration, claim byte, v registry.Version, t registry.Token) *history.Op {
	return b.add(n, d, onTenure(op.Renew, n, t), op.Result{Record: lease(n, d, claim, v, t)})
}

func (b *book) release(n string, t registry.Token) *history.Op {
	return b.add(n, 0, onTenure(op.Release, n, t), op.Result{})
}

func (b *book) transfer(n, to string, d time.Duration, v registry.Version, t registry.Token) *history.Op {
	c := onTenure(op.Transfer, n, t)
	c.To = ref(to)
	return b.add(n, d, c, op.Result{Record: lease(to, d, 0, v, t+1)})
}

func (b *book) lookup(n string, p registry.Placement) *history.Op {
	return b.add(n, 0, op.Call{Kind: op.Lookup, Actor: actorA}, op.Result{Record: p, Found: p.Version > 0})
}

func (b *book) validate(n string, t registry.Token) *history.Op {
	return b.add(n, 0, op.Call{Kind: op.Validate, Actor: actorA, Token: t}, op.Result{})
}

func (b *book) member(n string, d time.Duration, kind op.Kind, of string) *history.Op {
	return b.add(n, d, op.Call{Kind: kind, Node: ref(of)}, op.Result{})
}

func (b *book) getNode(n string, found registry.Node) *history.Op {
	return b.add(n, 0, op.Call{Kind: op.GetNode, Node: registry.NodeRef{ID: found.Ref.ID}}, op.Result{Node: found, Found: !found.Ref.IsZero()})
}

func (b *book) list(n, of string, rows ...registry.Placement) *history.Op {
	return b.add(n, 0, op.Call{Kind: op.ListActors, Node: ref(of)}, op.Result{Actors: rows})
}

func (b *book) overlap(ops ...int) {
	for _, i := range ops {
		b.Ops[i].Returned = b.stamp + 2
	}
}

func without(p registry.Placement, v registry.Version) registry.Placement {
	p.Holder, p.Version = registry.NodeRef{}, v
	return p
}

const s = time.Second

// wrongHistories has one way to break each rule, beside the nearest history that
// does not. TTL is 10 s, grace 2 s, skew 1 s: a lease granted at 0 is live before
// 10, in grace before 12, lapsed before 14, and reclaimable from then on.
var wrongHistories = []struct {
	name  string
	rule  contract.RuleID
	guard string
	wrong func() *book
	right func() *book
}{
	{"claims of one version both granted", contract.SingleActivation, "Version",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n2", 1, 2, 1, 1)
			b.overlap(2)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 1, 2, 1, 1), op.Held, lease("n1", 0, 1, 1, 1))
			b.overlap(2)
			return b
		}},
	{"claim of a live lease", contract.SingleActivation, "Claimable",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n2", 9*s, 2, 2, 2)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n2", 14*s, 2, 2, 2)
			return b
		}},
	{"claim in grace", contract.GraceRespected, "Claimable",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n2", 10*s, 2, 2, 2)
			return b
		}, nil},
	{"claim one tick inside the skew margin", contract.SingleActivation, "Claimable",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n2", 14*s-1, 2, 2, 2)
			return b
		}, nil},
	{"refused one tick after the margin", contract.Linearizability, "Claimable",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 14*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1))
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 14*s-1, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1))
			return b
		}},
	{"token used again after a release", contract.TokenMonotonic, "Token",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.release("n1", 1)
			b.claim("n2", 1*s, 2, 3, 1)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.release("n1", 1)
			b.claim("n2", 1*s, 2, 3, 2)
			return b
		}},
	{"release without a version", contract.VersionBump, "Version",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.release("n1", 1)
			b.lookup("n2", without(lease("n1", 0, 1, 1, 1), 1))
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.release("n1", 1)
			b.lookup("n2", without(lease("n1", 0, 1, 1, 1), 2))
			return b
		}},
	{"release that changes nothing", "Release.granted", "Holder",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1)
			for range 8 { // the search is cut where a version is known
				b.lookup("n2", lease("n1", 1*s, 1, 2, 1))
			}
			b.release("n1", 1)
			b.renew("n1", 2*s, 1, 3, 1)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1)
			b.renew("n1", 2*s, 1, 3, 1)
			b.release("n1", 1)
			return b
		}},
	{"release deletes the record", contract.TokenMonotonic, "Version",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1)
			b.release("n1", 1)
			b.claim("n2", 2*s, 2, 1, 1)
			return b
		}, nil},
	{"write with an old token", contract.NoStaleWrite, "TokenCurrent",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n2", 20*s, 2, 2, 2)
			b.validate("n1", 1)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n2", 20*s, 2, 2, 2)
			b.validate("n1", 1)
			b.overlap(3)
			return b
		}},
	{"write after the release", contract.NoStaleWrite, "TenureHeld",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.release("n1", 1)
			b.validate("n1", 1)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.release("n1", 1)
			b.release("n1", 1)
			return b
		}},
	{"stale look-up", contract.Linearizability, "Version",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1)
			b.lookup("n2", lease("n1", 0, 1, 1, 1))
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1)
			b.lookup("n2", lease("n1", 0, 1, 1, 1))
			b.overlap(3)
			return b
		}},
	{"look-up finds nothing", contract.Linearizability, "Version",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.lookup("n1", registry.Placement{})
			return b
		}, nil},
	{"renewal after the lapse", contract.SingleActivation, "NotLapsed",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 12*s, 1, 2, 1)
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 12*s-1, 1, 2, 1)
			return b
		}},
	{"renewal of a live lease refused", contract.Linearizability, "NotLapsed",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.renew("n1", 12*s-1, 1, 2, 1), op.Lapsed, registry.Placement{})
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.renew("n1", 12*s, 1, 2, 1), op.Lapsed, registry.Placement{})
			return b
		}},
	{"renewal moves the expiry back", contract.Linearizability, "Expiry",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 1*s, 1, 1, 1)
			b.renew("n1", 0, 1, 2, 1)
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 1*s, 1, 1, 1)
			b.renew("n1", 0, 1, 2, 1).Result.Record.Expiry = when(11 * s)
			return b
		}},
	{"renewal that does not extend", contract.Linearizability, "Expiry",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1).Result.Record.Expiry = when(10 * s)
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", -1*s, 1, 2, 1).Result.Record.Expiry = when(10 * s)
			return b
		}},
	{"expiry by another clock", contract.SingleActivation, "Expiry",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 1*s, 1, 1, 1).Clock = history.Seen(when(0))
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 1*s, 1, 1, 1).Clock = history.Seen(when(0), when(1*s))
			return b
		}},
	{"transfer in grace", contract.SingleActivation, "StillLive",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.transfer("n1", "n2", 10*s, 2, 1)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.transfer("n1", "n2", 10*s-1, 2, 1)
			return b
		}},
	{"transfer keeps the token", contract.TokenMonotonic, "Token",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.transfer("n1", "n2", 1*s, 2, 1).Result.Record.Token = 1
			return b
		}, nil},
	{"claim by a failed node", contract.Linearizability, "NodeNotFailed",
		func() *book {
			b := newBook("n1", "n2")
			b.member("n2", 8*s, op.MarkFailed, "n1")
			b.claim("n1", 8*s, 1, 1, 1)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.member("n2", 8*s, op.MarkFailed, "n1")
			b.claim("n2", 8*s, 1, 1, 1)
			return b
		}},
	{"refused claim tells a heartbeat that was not", contract.Linearizability, "LastSeen",
		func() *book {
			b := newBook("n1", "n2")
			b.member("n2", 8*s, op.MarkFailed, "n1")
			b.refused(b.claim("n1", 8*s, 1, 1, 1), op.NodeFailed, registry.Placement{}).Result.Node =
				registry.Node{Ref: ref("n1"), Status: registry.NodeFailed, LastSeen: when(1 * s)}
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.member("n2", 8*s, op.MarkFailed, "n1")
			b.refused(b.claim("n1", 8*s, 1, 1, 1), op.NodeFailed, registry.Placement{}).Result.Node =
				registry.Node{Ref: ref("n1"), Status: registry.NodeFailed, LastSeen: when(0)}
			return b
		}},
	{"refused claim tells another incarnation", contract.Linearizability, "Epoch",
		func() *book {
			b := newBook("n1", "n2")
			b.member("n2", 8*s, op.MarkFailed, "n1")
			b.refused(b.claim("n1", 8*s, 1, 1, 1), op.NodeFailed, registry.Placement{}).Result.Node =
				registry.Node{Ref: ref("n2"), Status: registry.NodeActive, LastSeen: when(0)}
			return b
		}, nil},
	{"held tells the registration of neither node", contract.Linearizability, "Epoch",
		func() *book {
			b := newBook("n1", "n2", "n3")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 1*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1)).Result.Node =
				registry.Node{Ref: ref("n3"), Status: registry.NodeActive, LastSeen: when(0)}
			return b
		},
		func() *book {
			b := newBook("n1", "n2", "n3")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 1*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1)).Result.Node =
				registry.Node{Ref: ref("n1"), Status: registry.NodeActive, LastSeen: when(0)}
			return b
		}},
	{"held tells a registration that the holder never had", contract.Linearizability, "LastSeen",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 1*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1)).Result.Node =
				registry.Node{Ref: ref("n1"), Status: registry.NodeActive, LastSeen: when(1)}
			return b
		}, nil},
	{"repeated release of the last holder refused", contract.Linearizability, "TenureHeld",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.release("n1", 1)
			b.refused(b.release("n1", 1), op.NotHeld, without(lease("n1", 0, 1, 1, 1), 2))
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.release("n1", 1)
			b.refused(b.release("n2", 1), op.NotHeld, without(lease("n1", 0, 1, 1, 1), 2))
			b.release("n2", 1) // or taken for a repetition, now and then
			b.release("n1", 1)
			return b
		}},
	{"claim by an unknown node", contract.Linearizability, "NodeKnown",
		func() *book {
			b := newBook()
			b.claim("n1", 0, 1, 1, 1)
			return b
		}, nil},
	{"claim by a superseded incarnation", contract.Linearizability, "NodeNotFailed",
		func() *book {
			b := newBook("n1")
			b.register("n1", 2)
			b.claim("n1", 0, 1, 1, 1)
			return b
		}, nil},
	{"held without the placement", contract.RefusalTruthful, "Claimable",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 1*s, 2, 0, 0), op.Held, registry.Placement{})
			return b
		}, nil},
	{"fenced with the current token", contract.Linearizability, "TokenCurrent",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.renew("n1", 1*s, 1, 2, 1), op.Fenced, registry.Placement{})
			return b
		}, nil},
	{"refused by a reading never made", contract.RefusalTruthful, "",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 1*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1)).Result.Now = when(2 * s)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 1*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1)).Result.Now = when(1 * s)
			return b
		}},
	{"held without a look at the clock", contract.Linearizability, "Claimable",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.refused(b.claim("n2", 1*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1)).Clock = history.Seen()
			return b
		},
		func() *book {
			b := newBook("n1")
			b.refused(b.claim("n2", 1*s, 2, 0, 0), op.NodeUnknown, registry.Placement{}).Clock = history.Seen()
			return b
		}},
	{"held by another reading than it tells", contract.Linearizability, "Claimable",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			o := b.refused(b.claim("n2", 13*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1))
			o.Clock, o.Result.Now = history.Seen(when(13*s), when(14*s)), when(14*s)
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			o := b.refused(b.claim("n2", 13*s, 2, 0, 0), op.Held, lease("n1", 0, 1, 1, 1))
			o.Clock, o.Result.Now = history.Seen(when(13*s), when(14*s)), when(13*s)
			return b
		}},
	{"registered node not found", contract.Linearizability, "Epoch",
		func() *book {
			b := newBook("n1")
			b.getNode("n1", registry.Node{Ref: registry.NodeRef{ID: "n1"}}).Result = op.Result{Outcome: op.OK}
			return b
		},
		func() *book {
			b := newBook()
			b.getNode("n1", registry.Node{Ref: registry.NodeRef{ID: "n1"}}).Result = op.Result{Outcome: op.OK}
			return b
		}},
	{"refusal tells another node than it found", contract.Linearizability, "LastSeen",
		func() *book {
			b := newBook("n1", "n2")
			b.refused(b.member("n2", 1*s, op.MarkFailed, "n1"), op.NodeAlive, registry.Placement{}).Result.Node =
				registry.Node{Ref: ref("n1"), Status: registry.NodeActive, LastSeen: when(1 * s)}
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.refused(b.member("n2", 1*s, op.MarkFailed, "n1"), op.NodeAlive, registry.Placement{}).Result.Node =
				registry.Node{Ref: ref("n1"), Status: registry.NodeActive, LastSeen: simulate.Start}
			return b
		}},
	{"node failed too early", contract.Linearizability, "NodeSilent",
		func() *book {
			b := newBook("n1", "n2")
			b.member("n2", 8*s-1, op.MarkFailed, "n1")
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.refused(b.member("n2", 8*s-1, op.MarkFailed, "n1"), op.NodeAlive, registry.Placement{})
			return b
		}},
	{"heartbeat forgotten", contract.Linearizability, "NodeSilent",
		func() *book {
			b := newBook("n1", "n2")
			b.member("n1", 4*s, op.Heartbeat, "n1")
			b.member("n2", 8*s, op.MarkFailed, "n1")
			return b
		},
		func() *book {
			b := newBook("n1", "n2")
			b.member("n1", 4*s, op.Heartbeat, "n1")
			b.member("n2", 12*s, op.MarkFailed, "n1")
			return b
		}},
	{"heartbeat of a failed node", contract.Linearizability, "NodeNotFailed",
		func() *book {
			b := newBook("n1", "n2")
			b.member("n2", 8*s, op.MarkFailed, "n1")
			b.member("n1", 8*s, op.Heartbeat, "n1")
			return b
		}, nil},
	{"epoch used again", contract.EpochFresh, "Epoch",
		func() *book {
			b := newBook("n1")
			b.register("n1", 1)
			return b
		},
		func() *book {
			b := newBook("n1")
			b.register("n1", 2)
			return b
		}},
	{"epoch skipped", contract.EpochFresh, "Epoch",
		func() *book {
			b := newBook("n1")
			b.register("n1", 3)
			return b
		}, nil},
	{"failed node active again", contract.Linearizability, "Status",
		func() *book {
			b := newBook("n1", "n2")
			b.getNode("n2", registry.Node{Ref: ref("n1"), Status: registry.NodeFailed, LastSeen: simulate.Start})
			b.getNode("n2", registry.Node{Ref: ref("n1"), Status: registry.NodeActive, LastSeen: simulate.Start})
			return b
		}, nil},
	{"actor missing in the listing", contract.Linearizability, "Complete",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.list("n1", "n1")
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.list("n1", "n1")
			b.release("n1", 1)
			b.overlap(2)
			return b
		}},
	{"actor listed twice", contract.Linearizability, "Complete",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.list("n1", "n1", lease("n1", 0, 1, 1, 1), lease("n1", 0, 1, 1, 1))
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.list("n1", "n1", lease("n1", 0, 1, 1, 1))
			return b
		}},
	{"stale row", contract.Linearizability, "Version",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1)
			b.list("n1", "n1", lease("n1", 0, 1, 1, 1))
			return b
		}, nil},
	{"row of another holder", "ListActors.answered", "Holder",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.list("n1", "n2", lease("n1", 0, 1, 1, 1))
			return b
		}, nil},
	{"node missing in the listing", contract.Linearizability, "Complete",
		func() *book {
			b := newBook("n1")
			b.add("n1", 0, op.Call{Kind: op.ListNodes, Status: registry.NodeActive}, op.Result{})
			return b
		},
		func() *book {
			b := newBook("n1")
			b.add("n1", 0, op.Call{Kind: op.ListNodes, Status: registry.NodeFailed}, op.Result{})
			return b
		}},
	{"repeated claim granted anew", "Claim.repeated", "Lease",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n1", 1*s, 1, 2, 2)
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n1", 1*s, 1, 1, 1).Result.Record = lease("n1", 0, 1, 1, 1)
			return b
		}},
	{"own actor claimed anew", "Claim.held", "Claimable",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n1", 1*s, 2, 2, 2)
			return b
		},
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n1", 14*s, 2, 2, 2)
			return b
		}},
	{"first token of many", "Claim.granted", "Token",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 144)
			return b
		}, nil},
	{"token skipped", "Claim.granted", "Token",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1)
			b.claim("n1", 15*s, 2, 3, 3)
			return b
		}, nil},
	{"second holder under the first one's token", contract.SingleActivation, "Claimable",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n2", 1*s, 2, 2, 1)
			return b
		}, nil},
	{"second holder under an earlier token", contract.SingleActivation, "Version",
		func() *book {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			b.renew("n1", 1*s, 1, 2, 1)
			b.renew("n1", 2*s, 1, 3, 1)
			b.claim("n2", 3*s, 2, 1, 1)
			return b
		}, nil},
	{"claim answered with a zero lease", "Claim.granted", "Lease",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1).Result.Record = registry.Placement{}
			return b
		}, nil},
	{"repeated claim answered with a zero lease", "Claim.repeated", "Lease",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n1", 1*s, 1, 1, 1).Result.Record = registry.Placement{}
			return b
		}, nil},
	{"lease under another claim id", "Claim.granted", "ClaimID",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1).Result.Record.ClaimID[1] = 1
			return b
		}, nil},
	{"name beyond the limit accepted", contract.NameLimits, "ErrInvalid",
		func() *book {
			b := newBook()
			b.register(strings.Repeat("n", registry.MaxNodeIDBytes+1), 1)
			return b
		},
		func() *book { return newBook(strings.Repeat("n", registry.MaxNodeIDBytes)) }},
	{"repeated claim answered after the lapse", contract.Linearizability, "NotLapsed",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1)
			b.claim("n1", 12*s, 1, 1, 1).Result.Record = lease("n1", 0, 1, 1, 1)
			return b
		}, nil},
	{"record that nobody wrote", contract.VersionBump, "Version",
		func() *book {
			b := newBook("n1")
			b.lookup("n1", lease("n1", 0, 1, 1, 1))
			return b
		}, nil},
	{"error that the contract does not list", contract.RawLookup, "",
		func() *book {
			b := newBook("n1")
			ended(b.lookup("n1", registry.Placement{}), op.Unlisted)
			return b
		}, nil},
	{"look-up refused", contract.RefusalTruthful, "",
		func() *book {
			b := newBook("n1")
			b.refused(b.lookup("n1", registry.Placement{}), op.Held, registry.Placement{})
			return b
		}, nil},
	{"invalid argument accepted", contract.InvalidFirst, "ErrInvalid",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 0, 1, 1)
			return b
		},
		func() *book {
			b := newBook("n1")
			ended(b.claim("n1", 0, 0, 1, 1), op.Invalid)
			return b
		}},
	{"valid arguments called invalid", contract.InvalidFirst, "ErrInvalid",
		func() *book {
			b := newBook("n1")
			b.claim("n1", 0, 1, 1, 1).Result = op.Failed(&registry.InvalidError{Field: "claim id", Problem: "is zero"})
			return b
		}, nil},
}

// wrongByItself reports whether an answer is one that no history allows: the search
// takes such answers as they are.
func wrongByItself(h *history.History, v Violation) bool {
	s := newScan(h)
	s.answer(&h.Ops[v.Op])
	return len(s.out) > 0
}

func TestWrongHistories(t *testing.T) {
	for _, tc := range wrongHistories {
		t.Run(tc.name, func(t *testing.T) {
			h := tc.wrong().History
			res := Check(h, Options{})
			require.Equal(t, Illegal, res.Verdict)
			require.Equal(t, tc.rule, res.Violations[0].Rule, "%+v", res.Violations[0])
			require.Equal(t, tc.guard, res.Violations[0].Guard, "%+v", res.Violations[0])
			require.NotEmpty(t, res.Violations[0].Found)
			require.NotEmpty(t, res.Violations[0].Allowed)
			if !wrongByItself(&h, res.Violations[0]) {
				require.Equal(t, Illegal, Check(h, Options{Search: true}).Verdict, "the search must convict too")
				require.Equal(t, Illegal, Check(h, Options{Search: true, Whole: true}).Verdict)
			}
			if tc.right == nil {
				return
			}
			for _, o := range []Options{{}, {NoHints: true}, {Whole: true}} {
				res = Check(tc.right().History, o)
				require.Equal(t, OK, res.Verdict, "%+v %+v", o, res.Violations)
			}
		})
	}
}

// Each kind of unknown outcome allows what its definition says and no more.
func TestUnknownOutcomes(t *testing.T) {
	found := lease("n1", 0, 1, 1, 1)
	claimed := func(how op.Outcome, looks ...registry.Placement) history.History {
		b := newBook("n1")
		o := b.claim("n1", 0, 1, 1, 1)
		if how == op.Pending {
			o.Result, o.Returned = op.Result{Outcome: op.Pending}, history.Never
		} else {
			ended(o, how)
		}
		for _, p := range looks {
			b.lookup("n1", p)
		}
		return b.History
	}
	none := registry.Placement{}
	for _, tc := range []struct {
		name  string
		o     op.Outcome
		looks []registry.Placement
		want  Verdict
	}{
		{"settled, happened", op.Settled, []registry.Placement{found, found}, OK},
		{"settled, did not happen", op.Settled, []registry.Placement{none, none}, OK},
		{"settled, happened late", op.Settled, []registry.Placement{none, found}, Illegal},
		{"open, happened late", op.Open, []registry.Placement{none, found}, OK},
		{"open, undone", op.Open, []registry.Placement{found, none}, Illegal},
		{"never returned, happened late", op.Pending, []registry.Placement{none, found}, OK},
		{"unavailable, happened", op.Unavailable, []registry.Placement{found}, Illegal},
		{"unavailable", op.Unavailable, []registry.Placement{none}, OK},
		{"cancelled, happened", op.Cancelled, []registry.Placement{found}, Illegal},
		{"closed, happened", op.Closed, []registry.Placement{found}, Illegal},
		{"closed", op.Closed, []registry.Placement{none}, OK},
		{"open, with a reading never made", op.Open, []registry.Placement{lease("n1", 1, 1, 1, 1)}, Illegal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, o := range []way{{}, {Options: Options{Search: true}}, {Options{Search: true}, 1}, {Options: Options{Search: true, NoHints: true}}, {Options: Options{Whole: true}}} {
				res := o.check(claimed(tc.o, tc.looks...))
				require.Equal(t, tc.want, res.Verdict, "%+v %+v", o, res.Violations)
			}
		})
	}
}

// With an interval for the clock, an answer is right if some reading in it
// explains it, to the nanosecond.
func TestIntervalReadings(t *testing.T) {
	for _, tc := range []struct {
		name   string
		lo, hi time.Duration
		held   bool // refused with ErrHeld, or granted at hi
		want   Verdict
	}{
		{"held, from before the margin", 14*s - 1, 20 * s, true, OK},
		{"held, all after the margin", 14 * s, 20 * s, true, Illegal},
		{"granted, up to the margin", 0, 14 * s, false, OK},
		{"granted, all before the margin", 0, 14*s - 1, false, Illegal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBook("n1", "n2")
			b.claim("n1", 0, 1, 1, 1)
			o := b.claim("n2", tc.hi, 2, 2, 2)
			o.Clock = history.Within(when(tc.lo), when(tc.hi))
			if tc.held {
				b.refused(o, op.Held, lease("n1", 0, 1, 1, 1))
			}
			require.Equal(t, tc.want, Check(b.History, Options{}).Verdict)
			require.Equal(t, tc.want, Check(b.History, Options{Search: true}).Verdict)
		})
	}
}

// After an ambiguous renewal the expiry is one of several. What follows must
// fit one of them.
func TestUnknownExpiry(t *testing.T) {
	claimed := func(claimAt time.Duration) history.History {
		b := newBook("n1", "n2")
		b.claim("n1", 0, 1, 1, 1)
		ended(b.renew("n1", 5*s, 1, 2, 1), op.Settled).Clock = history.Seen(when(5*s), when(6*s))
		b.validate("n1", 1)
		b.claim("n2", claimAt, 2, 3, 2) // version 3: the renewal did happen
		return b.History
	}
	require.Equal(t, Illegal, Check(claimed(19*s-1), Options{}).Verdict)
	require.Equal(t, OK, Check(claimed(19*s), Options{}).Verdict)
}

// Operations may be numbered by the check.
func TestUnnumberedHistory(t *testing.T) {
	h := wrongHistories[1].wrong().History
	for i := range h.Ops {
		h.Ops[i].ID = 0
	}
	res := Check(h, Options{})
	require.Equal(t, Illegal, res.Verdict)
	require.Equal(t, 3, res.Violations[0].Op)
	require.Equal(t, []int{2}, res.Violations[0].Others)
}

// Evidence must not give a version to a release that may have come after all
// that was seen: two ambiguous renewals made versions 2 and 3, the release 4.
func TestEvidenceMindsTheEnd(t *testing.T) {
	b := newBook("n1")
	b.claim("n1", 0, 1, 1, 1)
	for _, at := range []time.Duration{1 * s, 2 * s} {
		ended(b.renew("n1", at, 1, 0, 1), op.Settled)
	}
	b.release("n1", 1)
	b.lookup("n1", lease("n1", 2*s, 1, 3, 1))
	b.overlap(2, 3, 4)
	for _, o := range []way{{}, {Options{Search: true}, 1}, {Options: Options{Search: true, NoHints: true}}} {
		require.Equal(t, OK, o.check(b.History).Verdict, "%+v", o)
	}
}

// What partitions miss, the whole history shows: the node had failed before a
// first claim and had not failed before a second one that came later.
func TestWholeHistoryMissesNothing(t *testing.T) {
	claimed := func(second registry.ActorID) history.History {
		b := newBook("n1", "n2")
		b.member("n2", 8*s, op.MarkFailed, "n1")
		b.refused(b.claim("n1", 8*s, 1, 1, 1), op.NodeFailed, registry.Placement{})
		o := b.claim("n1", 8*s, 2, 1, 1)
		o.Call.Actor, o.Result.Record.Actor = second, second
		b.overlap(2)
		return b.History
	}
	other := registry.ActorID{Namespace: "ns", Name: "b"}
	require.Equal(t, OK, Check(claimed(other), Options{}).Verdict)
	require.Equal(t, Illegal, Check(claimed(other), Options{Whole: true}).Verdict)
	require.Equal(t, Illegal, Check(claimed(actorA), Options{}).Verdict, "of one actor, its partition shows it")
}

// A cut must not let an operation hide at the end of the part before it: a
// release that returned before version 3 was made, by a renewal, has no place.
func TestSegmentsEndWhereTheNextBegin(t *testing.T) {
	b := newBook("n1")
	b.claim("n1", 0, 1, 1, 1)
	b.renew("n1", 1*s, 1, 2, 1)
	b.release("n1", 1)
	b.overlap(2)
	b.renew("n1", 2*s, 1, 3, 1)
	for _, o := range []way{{Options{Search: true}, 1}, {Options: Options{Search: true, NoHints: true}}} {
		require.Equal(t, Illegal, o.check(b.History).Verdict, "%+v", o)
	}
}

// Unknown outcomes that the search cannot follow, operations that it does not
// know, and time that runs out end in Unknown.
func TestUnknownIsNotOK(t *testing.T) {
	b := newBook("n1", "n2")
	for i := range maxUnknown + 1 {
		ended(b.claim("n1", 0, byte(i+1), 0, 0), op.Open)
	}
	b.add("n2", 0, op.Call{Kind: op.Lookup, Actor: actorA}, op.Result{Record: lease("n2", 0, 99, 1, 1), Found: true})
	res := Check(b.History, Options{Search: true, NoHints: true})
	require.Equal(t, Unknown, res.Verdict)
	require.Contains(t, res.Reason, "129 unknown outcomes")

	for _, k := range []op.Kind{op.RenewBatch, op.Close, 0} { // what no recorder records
		b := newBook("n1")
		b.add("n1", 0, op.Call{Kind: k}, op.Result{})
		res = Check(b.History, Options{})
		require.Equal(t, Unknown, res.Verdict, k)
		require.Contains(t, res.Reason, "operation 1 is a "+k.String())
	}

	h := simulate.Simulation{Choose: simulate.Seeded(3), Clients: 8, Actors: 1, Steps: 20_000, Quiet: true}.History()
	res = Check(h, Options{Search: true, NoHints: true, Timeout: time.Millisecond})
	require.Equal(t, Unknown, res.Verdict)
	require.Contains(t, res.Reason, "out of time in")
}
