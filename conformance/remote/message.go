// Package remote judges a registry in another process, written in any
// language, behind a protocol of JSON Lines on its standard input and output;
// and serves any Go backend by the same protocol.
//
// The protocol is described in PROTOCOL.md beside this file, with its schema.
package remote

import (
	"errors"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/internal/wire"
)

// ProtocolName and ProtocolVersion are what a child's first line must name. The
// version grows with every change that an adapter of the earlier form would
// misunderstand.
const (
	ProtocolName    = "kelpie-registry"
	ProtocolVersion = 1
)

// MaxLine bounds a line in both directions, in bytes: a page of 1000 rows with
// the longest names fits.
const MaxLine = 4 << 20

// Where a child's registry takes the time from.
const (
	timePassed = "passed" // from the request's now
	timeOwn    = "own"    // from a clock of its own
)

// hello is the child's first line.
type hello struct {
	Protocol     string                   `json:"protocol"`
	Version      int                      `json:"version"`
	Name         string                   `json:"name"`
	Time         string                   `json:"time"`
	Config       *config                  `json:"config,omitempty"` // with time "own": the short times to judge it with
	Capabilities []conformance.Capability `json:"capabilities,omitempty"`
}

func (h hello) validate() error {
	switch {
	case h.Protocol != ProtocolName:
		return fmt.Errorf("protocol is %q, want %q", h.Protocol, ProtocolName)
	case h.Version != ProtocolVersion:
		return fmt.Errorf("protocol version is %d, this is version %d", h.Version, ProtocolVersion)
	case h.Name == "":
		return errors.New("the registry has no name")
	case h.Time != timePassed && h.Time != timeOwn:
		return fmt.Errorf("time is %q, want %q or %q", h.Time, timePassed, timeOwn)
	case h.Time == timeOwn && h.Config == nil:
		return fmt.Errorf("time %q needs a config", timeOwn)
	}
	for _, c := range h.Capabilities {
		if c != conformance.BatchRenew && c != conformance.Watch && c != conformance.Restart {
			return fmt.Errorf("capability %q is not part of the protocol", c)
		}
	}
	return nil
}

// The operations beside those of the contract.
const (
	opNew     = "New"     // make an empty cluster
	opDrop    = "Drop"    // the cluster is no longer needed
	opRestart = "Restart" // end all processes of the cluster as kill -9 would, and start again
	opOpen    = "Open"    // open a handle
	opCancel  = "Cancel"  // the caller no longer waits for request of; has no answer
)

// request is a line from the suite to the child. 64-bit numbers are strings of
// decimal digits, because not every language's JSON can hold them.
type request struct {
	ID      uint64            `json:"id"`
	Op      string            `json:"op"`
	Of      uint64            `json:"of,omitempty"`
	Cluster string            `json:"cluster,omitempty"`
	Handle  string            `json:"handle,omitempty"`
	Now     *registry.Instant `json:"now,string,omitempty"`
	Timeout time.Duration     `json:"timeout_ns,omitempty"`
	Ended   string            `json:"ended,omitempty"` // the caller's context is done already: Canceled or DeadlineExceeded
	Config  *config           `json:"config,omitempty"`

	Actor   *actor                `json:"actor,omitempty"`
	Node    *ref                  `json:"node,omitempty"`
	Token   registry.Token        `json:"token,string,omitempty"`
	ClaimID string                `json:"claim_id,omitempty"`
	To      *ref                  `json:"to,omitempty"`
	Leases  []record              `json:"leases,omitempty"`
	Seen    registry.Version      `json:"seen,string,omitempty"`
	Address string                `json:"address,omitempty"`
	Mode    registry.RegisterMode `json:"mode,omitempty"`
	Status  registry.NodeStatus   `json:"status,omitempty"`
	After   registry.Cursor       `json:"after,omitempty"`
	Limit   int                   `json:"limit,omitempty"`
}

// response is a line from the child to the suite: the answer to one request.
// Responses may come in any order.
type response struct {
	ID       uint64          `json:"id"`
	Record   *record         `json:"record,omitempty"` // Claim, Renew, Transfer, Lookup, Watch
	Node     *node           `json:"node,omitempty"`   // RegisterNode, GetNode
	Found    bool            `json:"found,omitempty"`  // Lookup, GetNode
	Records  []record        `json:"records,omitempty"`
	Nodes    []node          `json:"nodes,omitempty"`
	Next     registry.Cursor `json:"next,omitempty"`
	Renewals []renewal       `json:"renewals,omitempty"` // RenewBatch, in the order of leases
	Error    *failure        `json:"error,omitempty"`
}

type config struct {
	TTL            time.Duration `json:"ttl_ns"`
	Grace          time.Duration `json:"grace_ns"`
	MaxClockSkew   time.Duration `json:"max_clock_skew_ns"`
	FailureTimeout time.Duration `json:"failure_timeout_ns"`
}

func configOf(c registry.Config) *config {
	return &config{c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout}
}

func (c config) config() registry.Config {
	return registry.Config{TTL: c.TTL, Grace: c.Grace, MaxClockSkew: c.MaxClockSkew, FailureTimeout: c.FailureTimeout, AllowShortTTL: c.TTL < registry.MinTTL}
}

type actor struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type ref struct {
	ID    registry.NodeID `json:"id"`
	Epoch registry.Epoch  `json:"epoch,string"`
}

type record struct {
	Actor   actor            `json:"actor"`
	Holder  *ref             `json:"holder,omitempty"`
	Token   registry.Token   `json:"token,string"`
	Version registry.Version `json:"version,string"`
	Expiry  registry.Instant `json:"expiry,string"`
	ClaimID string           `json:"claim_id,omitempty"`
}

type node struct {
	Ref      ref                 `json:"ref"`
	Address  string              `json:"address,omitempty"`
	Status   registry.NodeStatus `json:"status"`
	LastSeen registry.Instant    `json:"last_seen,string"`
}

type renewal struct {
	Record *record  `json:"record,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

// failure is an error of the contract: its name, and the detail that the Go
// type of the same name carries.
type failure struct {
	Reason        string           `json:"reason"`
	Text          string           `json:"text,omitempty"`
	Field         string           `json:"field,omitempty"`           // ErrInvalid, ErrConfigMismatch
	Store         time.Duration    `json:"store_ns,omitempty"`        // ErrConfigMismatch
	Given         time.Duration    `json:"given_ns,omitempty"`        // ErrConfigMismatch
	MayStillApply bool             `json:"may_still_apply,omitempty"` // ErrAmbiguous
	Record        *record          `json:"record,omitempty"`
	Node          *node            `json:"node,omitempty"`
	Now           registry.Instant `json:"now,string,omitempty"`
}

func refOf(r registry.NodeRef) *ref     { return wire.Optional(ref(r)) }
func (r *ref) ref() registry.NodeRef    { return registry.NodeRef(wire.Value(r)) }
func actorOf(a registry.ActorID) *actor { return &actor{a.Namespace, a.Name} }
func (a *actor) id() registry.ActorID   { return registry.ActorID(wire.Value(a)) }

func recordOf(p registry.Placement) *record {
	if p == (registry.Placement{}) {
		return nil
	}
	return &record{*actorOf(p.Actor), refOf(p.Holder), p.Token, p.Version, p.Expiry, wire.ClaimID(p.ClaimID)}
}

func (r *record) placement() (registry.Placement, error) {
	if r == nil {
		return registry.Placement{}, nil
	}
	id, err := wire.ParseClaimID(r.ClaimID)
	return registry.Placement{Actor: r.Actor.id(), Holder: r.Holder.ref(), Token: r.Token, Version: r.Version, Expiry: r.Expiry, ClaimID: id}, err
}

func nodeOf(n registry.Node) *node {
	if n == (registry.Node{}) {
		return nil
	}
	return &node{ref(n.Ref), n.Info.Address, n.Status, n.LastSeen}
}

func (n *node) node() registry.Node {
	if n == nil {
		return registry.Node{}
	}
	return registry.Node{Ref: n.Ref.ref(), Info: registry.NodeInfo{Address: n.Address}, Status: n.Status, LastSeen: n.LastSeen}
}
