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
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// ProtocolName and ProtocolVersion are what a child's first line must name. The
// version grows with every change that an adapter of the earlier form would
// misunderstand.
const (
	ProtocolName    = "kelpie-registry"
	ProtocolVersion = 2
)

// powers are the capabilities that a child can declare, with the version of the
// protocol that has them.
var powers = map[conformance.Capability]int{
	conformance.BatchRenew: 1, conformance.Watch: 1, conformance.Restart: 1, conformance.Instances: 1,
	conformance.Faulty: 2, conformance.Seeding: 2,
}

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
	Dialect      dialect.Dialect          `json:"dialect,omitzero"` // how its contract differs; what it does not have is not asked for
}

func (h hello) validate() error {
	switch {
	case h.Protocol != ProtocolName:
		return fmt.Errorf("protocol is %q, want %q", h.Protocol, ProtocolName)
	case h.Version < 1 || h.Version > ProtocolVersion:
		return fmt.Errorf("protocol version is %d, this suite speaks 1 to %d", h.Version, ProtocolVersion)
	case h.Name == "":
		return errors.New("the registry has no name")
	case h.Time != timePassed && h.Time != timeOwn:
		return fmt.Errorf("time is %q, want %q or %q", h.Time, timePassed, timeOwn)
	case h.Time == timeOwn && h.Config == nil:
		return fmt.Errorf("time %q needs a config", timeOwn)
	}
	for _, c := range h.Capabilities {
		if since, known := powers[c]; !known || since > h.Version {
			return fmt.Errorf("capability %q is not part of the protocol, version %d", c, h.Version)
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
	opFaults  = "Faults"  // from now on, make so many of a cluster's operations fail
	opSeed    = "Seed"    // enter state that operations would take too long to reach
	opCancel  = "Cancel"  // the caller no longer waits for request of; has no answer
)

// request is a line from the suite to the child: a control operation, or a call
// on a handle.
type request struct {
	ID      uint64            `json:"id"`
	Op      string            `json:"op"`
	Of      uint64            `json:"of,omitempty"`
	Cluster string            `json:"cluster,omitempty"`
	Handle  string            `json:"handle,omitempty"`
	Now     *registry.Instant `json:"now,string,omitempty"`
	Timeout time.Duration     `json:"timeout_ns,omitempty"`
	Ended   op.Reason         `json:"ended,omitempty"` // the caller's context is done already: Canceled or DeadlineExceeded
	Config  *config           `json:"config,omitempty"`
	Faults  *faults           `json:"faults,omitempty"`  // of opFaults
	Nodes   []op.NodeFields   `json:"nodes,omitempty"`   // of opSeed
	Records []op.RecordFields `json:"records,omitempty"` // of opSeed

	op.CallFields // its op is the one above
}

// response is a line from the child to the suite: the answer to one request.
// Responses may come in any order.
type response struct {
	ID    uint64            `json:"id"`
	Fault conformance.Fault `json:"fault,omitempty"` // that the call suffered
	op.ResultFields
}

// faults are [conformance.Faults]; the seed is a string of digits, as all 64-bit numbers.
type faults struct {
	Seed        uint64  `json:"seed,string"`
	Unavailable float64 `json:"unavailable"`
	LostRequest float64 `json:"lost_request"`
	LostAnswer  float64 `json:"lost_answer"`
	Late        float64 `json:"late"`
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
