package reference

import "github.com/kelpie-registry/registry"

// Guard names one conjunct of an action's precondition, by the name it has in
// Registry.tla. The empty Guard means that the action is enabled.
type Guard string

// The conjuncts, in the order in which an action reports them.
const (
	Enabled Guard = ""

	NodeKnown     Guard = "NodeKnown"     // Claim, Transfer, Heartbeat, MarkFailed, DeregisterNode: the incarnation is registered
	NodeNotFailed Guard = "NodeNotFailed" // Claim, Transfer, Heartbeat: it was not failed
	NodeAbsent    Guard = "NodeAbsent"    // RegisterNode: no active registration, unless it supersedes
	NodeSilent    Guard = "NodeSilent"    // MarkFailed: last seen FailureTimeout + 2ε ago or longer
	TokenCurrent  Guard = "TokenCurrent"  // Renew, Release, Transfer, Validate: no higher token was granted
	TenureHeld    Guard = "TenureHeld"    // Renew, Release, Transfer, Validate: the record is held under that tenure
	NotLapsed     Guard = "NotLapsed"     // Renew: before Expiry + Grace
	StillLive     Guard = "StillLive"     // Transfer: before Expiry
	Claimable     Guard = "Claimable"     // Claim, Purge: no holder, or from Expiry + Grace + 2ε on

	// No operation asks these: a store that forgets does.
	HolderGone     Guard = "HolderGone"     // Purge: no holder, or an incarnation that is not active
	TokenCovered   Guard = "TokenCovered"   // Purge: the floor's token is no lower than the record's
	VersionCovered Guard = "VersionCovered" // Purge: nor is its version
)

// Refusal returns the contract's error for a guard that does not hold, nil for Enabled.
func (g Guard) Refusal() error {
	switch g {
	case NodeKnown:
		return registry.ErrNodeUnknown
	case NodeNotFailed:
		return registry.ErrNodeFailed
	case NodeAbsent:
		return registry.ErrNodeExists
	case NodeSilent:
		return registry.ErrNodeAlive
	case TokenCurrent:
		return registry.ErrFenced
	case TenureHeld:
		return registry.ErrNotHeld
	case NotLapsed, StillLive:
		return registry.ErrLapsed
	case Claimable:
		return registry.ErrHeld
	}
	return nil
}

// OfNode reports whether the guard is about a node's registration, not about an
// actor's record.
func (g Guard) OfNode() bool {
	return g == NodeKnown || g == NodeNotFailed || g == NodeAbsent || g == NodeSilent
}

// Record is the record of an actor. The zero Record was never claimed.
type Record = registry.Placement

// Lease time, by a node's reading c of its own clock.

func live(r Record, c registry.Instant) bool { return c < r.Expiry }

func lapsed(cfg registry.Config, r Record, c registry.Instant) bool {
	return c >= r.Expiry.Add(cfg.Grace)
}

func reclaimable(cfg registry.Config, r Record, c registry.Instant) bool {
	return c >= r.Expiry.Add(cfg.Grace).Add(2*cfg.MaxClockSkew)
}

// standingGuard is the membership conjunct of Claim and Transfer.
func standingGuard(s registry.Standing) Guard {
	switch s {
	case registry.StandingActive:
		return Enabled
	case registry.StandingFailed:
		return NodeNotFailed
	default:
		return NodeKnown
	}
}

// tenureGuard says whether (holder, token) is the record's current tenure.
func tenureGuard(r Record, holder registry.NodeRef, token registry.Token) Guard {
	switch {
	case token < r.Token:
		return TokenCurrent
	case token > r.Token || r.Holder != holder:
		return TenureHeld
	default:
		return Enabled
	}
}

// ClaimRepeats reports whether a claim is the repetition of the one that began
// the current tenure, which is answered with that tenure and changes nothing.
func ClaimRepeats(cfg registry.Config, r Record, node registry.NodeRef, id registry.ClaimID, c registry.Instant) bool {
	return r.Held() && r.Holder == node && r.ClaimID == id && !lapsed(cfg, r, c)
}

// ClaimGuard is the precondition of Claim, for a claim that is no repetition.
func ClaimGuard(cfg registry.Config, r Record, node registry.Standing, c registry.Instant) Guard {
	if g := standingGuard(node); g != Enabled {
		return g
	}
	if r.Held() && !reclaimable(cfg, r, c) {
		return Claimable
	}
	return Enabled
}

// ClaimEffect is the effect of Claim.
func ClaimEffect(cfg registry.Config, r Record, node registry.NodeRef, id registry.ClaimID, c registry.Instant) Record {
	return grant(cfg, r, node, id, c)
}

// grant begins a new tenure: the one place where a token is made.
func grant(cfg registry.Config, r Record, holder registry.NodeRef, id registry.ClaimID, c registry.Instant) Record {
	r.Holder = holder
	r.Token++
	r.Version++
	r.Expiry = c.Add(cfg.TTL)
	r.ClaimID = id
	return r
}

// RenewGuard is the precondition of Renew.
func RenewGuard(cfg registry.Config, r Record, holder registry.NodeRef, token registry.Token, c registry.Instant) Guard {
	if g := tenureGuard(r, holder, token); g != Enabled {
		return g
	}
	if lapsed(cfg, r, c) {
		return NotLapsed
	}
	return Enabled
}

// RenewEffect is the effect of Renew.
func RenewEffect(cfg registry.Config, r Record, c registry.Instant) Record {
	r.Version++
	r.Expiry = max(r.Expiry, c.Add(cfg.TTL))
	return r
}

// ReleaseRepeats reports whether the latest tenure is released already, so that
// releasing it again succeeds and changes nothing.
func ReleaseRepeats(r Record, token registry.Token) bool {
	return r.Version > 0 && !r.Held() && r.Token == token
}

// ReleaseGuard is the precondition of Release, for a release that is no repetition.
func ReleaseGuard(r Record, holder registry.NodeRef, token registry.Token) Guard {
	return tenureGuard(r, holder, token)
}

// ReleaseEffect is the effect of Release.
func ReleaseEffect(r Record) Record {
	r.Holder = registry.NodeRef{}
	r.Version++
	return r
}

// TransferGuard is the precondition of Transfer to a node of the given standing.
func TransferGuard(cfg registry.Config, r Record, holder registry.NodeRef, token registry.Token, to registry.Standing, c registry.Instant) Guard {
	if g := standingGuard(to); g != Enabled {
		return g
	}
	if g := tenureGuard(r, holder, token); g != Enabled {
		return g
	}
	if !live(r, c) {
		return StillLive
	}
	return Enabled
}

// TransferEffect is the effect of Transfer.
func TransferEffect(cfg registry.Config, r Record, to registry.NodeRef, c registry.Instant) Record {
	return grant(cfg, r, to, registry.ClaimID{}, c)
}

// ValidateGuard is the precondition of Validate, and of every guarded write.
func ValidateGuard(r Record, token registry.Token) Guard {
	switch {
	case token < r.Token:
		return TokenCurrent
	case token > r.Token || !r.Held():
		return TenureHeld
	default:
		return Enabled
	}
}

// Floor is what stands for the record of an actor that a store has forgotten: the
// next tenure has a higher token and a higher version.
type Floor = registry.Floor

// PurgeGuard is the precondition of forgetting r, whose holder, if any, has the
// given standing, with the floor f in its place from then on.
func PurgeGuard(cfg registry.Config, r Record, holder registry.Standing, f Floor, c registry.Instant) Guard {
	switch {
	case r.Held() && !reclaimable(cfg, r, c):
		return Claimable
	case r.Held() && holder == registry.StandingActive:
		return HolderGone
	case f.Token < r.Token:
		return TokenCovered
	case f.Version < r.Version:
		return VersionCovered
	}
	return Enabled
}

// PurgeEffect is the record from which the next claim of r's actor starts. A lookup
// does not find it.
func PurgeEffect(r Record, f Floor) Record {
	return Record{Actor: r.Actor, Token: f.Token, Version: f.Version}
}

// Member is the registration of a node. The zero Member was never registered.
type Member = registry.Node

// RegisterRepeats reports whether a registration under the given instance is the
// repetition of the active one, which is answered with that one and changes nothing.
func RegisterRepeats(m Member, instance registry.InstanceID) bool {
	return m.Status == registry.NodeActive && !instance.IsZero() && m.Info.Instance == instance
}

// RegisterNodeGuard is the precondition of RegisterNode, for a registration that
// does not repeat the active one.
func RegisterNodeGuard(m Member, mode registry.RegisterMode) Guard {
	if m.Status == registry.NodeActive && mode != registry.Supersede {
		return NodeAbsent
	}
	return Enabled
}

// RegisterNodeEffect is the effect of RegisterNode.
func RegisterNodeEffect(m Member, id registry.NodeID, info registry.NodeInfo, c registry.Instant) Member {
	return Member{
		Ref:      registry.NodeRef{ID: id, Epoch: m.Ref.Epoch + 1},
		Info:     info,
		Status:   registry.NodeActive,
		LastSeen: c,
	}
}

// HeartbeatGuard is the precondition of Heartbeat.
func HeartbeatGuard(m Member, node registry.NodeRef) Guard {
	return standingGuard(m.Standing(node))
}

// HeartbeatEffect is the effect of Heartbeat.
func HeartbeatEffect(m Member, c registry.Instant) Member {
	m.LastSeen = c
	return m
}

// MarkFailedRepeats reports whether node is failed already, so that marking it
// again succeeds and changes nothing.
func MarkFailedRepeats(m Member, node registry.NodeRef) bool {
	return m.Standing(node) == registry.StandingFailed
}

// MarkFailedGuard is the precondition of MarkFailed, for a node not failed already.
func MarkFailedGuard(cfg registry.Config, m Member, node registry.NodeRef, c registry.Instant) Guard {
	if g := standingGuard(m.Standing(node)); g != Enabled {
		return g
	}
	if c < m.LastSeen.Add(cfg.FailureTimeout).Add(2*cfg.MaxClockSkew) {
		return NodeSilent
	}
	return Enabled
}

// MarkFailedEffect is the effect of MarkFailed.
func MarkFailedEffect(m Member) Member {
	m.Status = registry.NodeFailed
	return m
}

// DeregisterNodeGuard is the precondition of DeregisterNode.
func DeregisterNodeGuard(m Member, node registry.NodeRef) Guard {
	if m.Ref != node || m.Status == registry.NodeLeft {
		return NodeKnown
	}
	return Enabled
}

// DeregisterNodeEffect is the effect of DeregisterNode.
func DeregisterNodeEffect(m Member) Member {
	m.Status = registry.NodeLeft
	return m
}
