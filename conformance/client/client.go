package client

import (
	"context"
	"time"

	"github.com/kelpie-registry/registry"
)

// Node is what a client is made from: the access of one process to a cluster.
type Node struct {
	ID     registry.NodeID
	Handle registry.Handle // of the process alone; fails as networks and stores do
	Clock  registry.Clock  // within ε of true time, unless the case says otherwise
	Config registry.Config // the cluster's
	Seed   uint64          // for what the client draws, so that a run can be repeated

	// Serve says that the client begins to serve an actor under a token. It is
	// called before the first thing is done for the actor, and stop after the last
	// one, with what ended it; nil when the client was asked to stop. Neither
	// blocks.
	Serve func(actor registry.ActorID, token registry.Token) (stop func(why error))
}

// Client is a process that keeps leases. Methods are called concurrently.
type Client interface {
	// Want makes the client serve the actor from now on, as often as it can be
	// had: it claims, waits while another has it, renews, and claims again when it
	// lost it. It does not block.
	Want(actor registry.ActorID)

	// Drop ends that. The actor is given up, so that others need not wait for its
	// lease to run out. It returns when that is done, or an error, when ctx ends at
	// the latest; either way the client serves the actor no longer.
	Drop(ctx context.Context, actor registry.ActorID) error

	// Close ends the client: when it returns nothing is served, claimed or renewed.
	// What it holds it may release or leave to lapse. It may go on to give things
	// back in the background, for Times.Stop; then no goroutine or timer is left.
	Close() error
}

// Mover is an optional interface of clients that hand actors over.
type Mover interface {
	// Move is Drop in favour of another node, which wants the actor as well. It
	// returns the lease that was handed over.
	Move(ctx context.Context, actor registry.ActorID, to registry.NodeRef) (registry.Lease, error)
}

// Adopter is an optional interface of clients that are told of a lease that was
// handed to them; others find it in the registry, or wait until it has lapsed.
type Adopter interface {
	// Adopt tells a client of its lease. It does not block. The message may come late,
	// twice, or when the client does not want the actor any more.
	Adopt(lease registry.Lease)
}

// Machine is an optional interface of clients that are processes of their own. In
// virtual time a process is stopped and killed without its help.
type Machine interface {
	Stop()     // as by SIGSTOP; returns when it stands
	Continue() // as by SIGCONT
	Kill()     // as by SIGKILL
}

// Factory makes a client for a node, and registers the node: a process that comes
// back under its old name supersedes its former self. It may block while the
// registry cannot be reached, and fails when the handle is closed.
type Factory func(Node) (Client, error)

// Times are the stated times: what takes longer is convicted.
type Times struct {
	Serve  time.Duration // from the wish to the service of an actor that nobody holds
	Resume time.Duration // from the end of trouble, or of a lease, to a service by whoever wants the actor
	Stop   time.Duration // of Drop, Move and Close beyond the end of their context or of the trouble
	Outage time.Duration // trouble that costs no lease
	Calls  int           // calls of one client about one actor in one TTL
}

// TimesOf returns the stated times for a cluster.
func TimesOf(cfg registry.Config) Times {
	lapse := cfg.TTL + cfg.Grace + 2*cfg.MaxClockSkew // from the last renewal until others may claim
	return Times{
		Serve:  cfg.TTL,
		Resume: lapse + cfg.MaxClockSkew + cfg.TTL,
		Stop:   cfg.TTL,
		Outage: cfg.TTL / 4,
		Calls:  1000,
	}
}
