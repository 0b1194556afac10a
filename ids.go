package registry

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Limits of names, in bytes.
const (
	MaxActorPartBytes = 256 // each of ActorID.Namespace and ActorID.Name
	MaxNodeIDBytes    = 128
	MaxAddressBytes   = 1024 // NodeInfo.Address
)

// ActorID names an actor. Each part is 1 to 256 bytes of valid UTF-8 without
// control characters.
type ActorID struct {
	Namespace string
	Name      string
}

// String returns "namespace/name", for people; it is not reversible.
func (a ActorID) String() string { return a.Namespace + "/" + a.Name }

// Validate returns an [*InvalidError] when a part breaks the limits.
func (a ActorID) Validate() error {
	if err := checkName("actor namespace", a.Namespace, MaxActorPartBytes); err != nil {
		return err
	}
	return checkName("actor name", a.Name, MaxActorPartBytes)
}

// NodeID names a node across its incarnations: 1 to 128 bytes of valid UTF-8
// without control characters.
type NodeID string

// Validate returns an [*InvalidError] when the name breaks the limits.
func (id NodeID) Validate() error { return checkName("node id", string(id), MaxNodeIDBytes) }

func checkName(field, s string, limit int) error {
	switch {
	case s == "":
		return &InvalidError{Field: field, Problem: "is empty"}
	case len(s) > limit:
		return &InvalidError{Field: field, Problem: fmt.Sprintf("has %d bytes, the limit is %d", len(s), limit)}
	case isPrintableASCII(s): // as most names are; it saves the decoding
		return nil
	case !utf8.ValidString(s):
		return &InvalidError{Field: field, Problem: "is not valid UTF-8"}
	}
	for i, r := range s {
		if unicode.IsControl(r) {
			return &InvalidError{Field: field, Problem: fmt.Sprintf("has control character %U at byte %d", r, i)}
		}
	}
	return nil
}

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Epoch counts the incarnations of a node: it grows by one at every
// registration under the same [NodeID] and is never reused. 0 is no epoch.
type Epoch uint64

// NodeRef is one incarnation of one node: the identity of a holder. A
// restarted process is another holder. The zero NodeRef is no holder.
type NodeRef struct {
	ID    NodeID
	Epoch Epoch
}

// IsZero reports whether r names no node.
func (r NodeRef) IsZero() bool { return r == NodeRef{} }

// String returns "id#epoch", or "nobody" for the zero value.
func (r NodeRef) String() string {
	if r.IsZero() {
		return "nobody"
	}
	return string(r.ID) + "#" + strconv.FormatUint(uint64(r.Epoch), 10)
}

// Validate returns an [*InvalidError] for a bad name or epoch 0.
func (r NodeRef) Validate() error {
	if err := r.ID.Validate(); err != nil {
		return err
	}
	if r.Epoch == 0 {
		return &InvalidError{Field: "node epoch", Problem: "is 0, epochs start at 1"}
	}
	return nil
}

// Token is a fencing token: +1 at every grant of ownership of its actor, never
// reused, kept across release, restart and recovery. 0 means never granted.
type Token uint64

// Version is the revision of an actor's record: +1 at every mutation. 0 means
// that there is no record.
type Version uint64

// ClaimID is the caller's identity for one claim attempt, so that the attempt
// can be repeated when its answer was lost. The zero ClaimID is none and is
// refused by Claim.
type ClaimID [16]byte

// NewClaimID returns a random ClaimID.
func NewClaimID() ClaimID {
	var id ClaimID
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return id
}

// IsZero reports whether id is none.
func (id ClaimID) IsZero() bool { return id == ClaimID{} }

// String returns 32 hexadecimal digits.
func (id ClaimID) String() string { return hex.EncodeToString(id[:]) }

// ParseClaimID reads what [ClaimID.String] writes.
func ParseClaimID(s string) (ClaimID, error) {
	id, err := parseID("claim id", s)
	return ClaimID(id), err
}

// InstanceID is a process's own identity for its registration, so that a
// registration can be repeated when its answer was lost. A process chooses one
// when it starts. The zero InstanceID is none: such a registration repeats no other.
type InstanceID [16]byte

// NewInstanceID returns a random InstanceID.
func NewInstanceID() InstanceID { return InstanceID(NewClaimID()) }

// IsZero reports whether id is none.
func (id InstanceID) IsZero() bool { return id == InstanceID{} }

// String returns 32 hexadecimal digits.
func (id InstanceID) String() string { return hex.EncodeToString(id[:]) }

// ParseInstanceID reads what [InstanceID.String] writes.
func ParseInstanceID(s string) (InstanceID, error) {
	id, err := parseID("instance id", s)
	return InstanceID(id), err
}

func parseID(field, s string) (id [16]byte, err error) {
	if len(s) != 2*len(id) {
		return id, &InvalidError{Field: field, Problem: fmt.Sprintf("has %d characters, want %d hexadecimal digits", len(s), 2*len(id))}
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return [16]byte{}, &InvalidError{Field: field, Problem: err.Error()}
	}
	return id, nil
}

// Floor is what a store keeps in place of the records that it has forgotten: no
// lower than the token and version of any. A claim of an actor without a record
// starts above it. The zero Floor is that of a store that has forgotten nothing.
type Floor struct {
	Token   Token
	Version Version
}

// Over returns the lowest floor that is no lower than f, the token and the version.
func (f Floor) Over(t Token, v Version) Floor { return Floor{max(f.Token, t), max(f.Version, v)} }
