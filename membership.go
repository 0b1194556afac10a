package registry

import (
	"fmt"
	"unicode/utf8"
)

// NodeInfo is what a node tells the cluster about itself.
type NodeInfo struct {
	Address  string     // where the node is reached; may be empty, at most 1024 bytes of valid UTF-8
	Instance InstanceID // of the process that registers, so that it can repeat its registration; zero: none
}

// Validate returns an [*InvalidError] when the address breaks the limits.
func (i NodeInfo) Validate() error {
	switch {
	case len(i.Address) > MaxAddressBytes:
		return &InvalidError{Field: "node address", Problem: fmt.Sprintf("has %d bytes, the limit is %d", len(i.Address), MaxAddressBytes)}
	case !utf8.ValidString(i.Address):
		return &InvalidError{Field: "node address", Problem: "is not valid UTF-8"}
	}
	return nil
}

// Node is the registration of a node: its latest incarnation. It is never
// deleted, so that epochs are never reused.
type Node struct {
	Ref      NodeRef
	Info     NodeInfo
	Status   NodeStatus
	LastSeen Instant // by the clock that wrote it
}

// NodeStatus is the state of a node's latest incarnation.
type NodeStatus uint8

// The statuses. AnyStatus is only a filter of ListNodes.
const (
	AnyStatus  NodeStatus = iota
	NodeActive            // registered and not failed
	NodeFailed            // marked failed, for good for this epoch
	NodeLeft              // deregistered
)

var statusNames = [...]string{"any", "active", "failed", "left"}

// String returns the status's name.
func (s NodeStatus) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// Validate returns an [*InvalidError] for a value that is no status.
func (s NodeStatus) Validate() error {
	if int(s) >= len(statusNames) {
		return &InvalidError{Field: "node status", Problem: fmt.Sprintf("is %d, the last is %d", uint8(s), len(statusNames)-1)}
	}
	return nil
}

// RegisterMode says what RegisterNode does when an active registration exists.
type RegisterMode uint8

// The modes of RegisterNode.
const (
	IfAbsent  RegisterMode = iota // refuse with ErrNodeExists
	Supersede                     // replace it: a restarted process under its old name
)

// String returns the mode's name.
func (m RegisterMode) String() string {
	switch m {
	case IfAbsent:
		return "if-absent"
	case Supersede:
		return "supersede"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// Validate returns an [*InvalidError] for a value that is no mode.
func (m RegisterMode) Validate() error {
	if m > Supersede {
		return &InvalidError{Field: "register mode", Problem: fmt.Sprintf("is %d, the last is %d", uint8(m), uint8(Supersede))}
	}
	return nil
}

// Standing is what the membership says of one incarnation, given the latest
// registration of its node.
type Standing uint8

// The standings of an incarnation.
const (
	StandingUnknown Standing = iota // never registered, or its registration ended
	StandingActive                  // may claim
	StandingFailed                  // marked failed, or of an epoch that is over
)

// Standing returns the standing of ref when n is the latest registration of
// ref.ID (the zero Node when there is none). An epoch before the current one is
// failed for good; one after it was never given out.
func (n Node) Standing(ref NodeRef) Standing {
	switch {
	case n.Ref.ID != ref.ID || ref.Epoch > n.Ref.Epoch:
		return StandingUnknown
	case ref.Epoch < n.Ref.Epoch || n.Status == NodeFailed:
		return StandingFailed
	case n.Status == NodeActive:
		return StandingActive
	default:
		return StandingUnknown
	}
}
