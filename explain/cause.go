package explain

import (
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// usualCauses says which mistake most often breaks a rule at a guard or effect.
// Empty parts fit all; the first that fits is told.
var usualCauses = []struct {
	rule   contract.RuleID
	guard  string
	action op.Kind
	text   string
}{
	{contract.SingleActivation, "Version", 0, "the check and the write are not one atomic step: two callers acted on the same version"},
	{contract.SingleActivation, "Claimable", 0, "the lease is not looked at inside the step that writes, its margin is less than Grace + 2ε, or the wrong clock is compared"},
	{contract.SingleActivation, "NotLapsed", 0, "a renewal compares the token but not the time, or a wrong boundary: at Expiry + Grace a lease has lapsed"},
	{contract.SingleActivation, "StillLive", 0, "a transfer is let through in grace: only a live lease, before Expiry, can be handed on"},
	{contract.SingleActivation, "Expiry", 0, "the expiry is computed by another clock than the handle's, or from a reading made outside the call"},
	{contract.GraceRespected, "", 0, "an expired lease is given away at Expiry, without waiting for Grace and the skew margin"},
	{contract.EpochFresh, "", 0, "the epoch is not kept when a node leaves or the store restarts, or is counted in the process"},
	{"Renew.granted", "Token", 0, "a renewal is treated as a grant"},
	{"Claim.granted", "Token", 0, "the token is drawn from a counter that several actors share, or that is not kept with the record"},
	{"Claim.held", "", 0, "the holder's own claim under another ClaimID is taken for a repetition, or for a renewal"},
	{"Claim.repeated", "", 0, "the ClaimID is not stored with the record, or not compared before the claim is granted anew"},
	{contract.TokenMonotonic, "", op.Transfer, "a transfer is treated as a renewal: a new holder needs a new token"},
	{contract.TokenMonotonic, "", op.Claim, "the record, and its token with it, was deleted at a release, lost at a restart, or counted in the process"},
	{contract.NoStaleWrite, "", 0, "the token that is presented is not compared with the record's, or with a copy that is behind"},
	{contract.AmbiguousTruth, "", 0, "an error of the connection, or of a commit whose answer was lost, is passed on as a failure"},
	{contract.VersionBump, "", 0, "a mutation leaves the version as it is, or two mutations acted on the same one: a lost update"},
	{contract.Linearizability, "Record", 0, "an update was lost: the record was written from what had been read before another's write"},
	{contract.Linearizability, "TenureHeld", 0, "an update was lost: another write, from what had been read before, took the record back"},
	{contract.Linearizability, "TokenCurrent", 0, "an update was lost: another write, from what had been read before, took the record back"},
	{contract.Linearizability, "Version", 0, "the answer comes from a cache, a snapshot or a replica that is behind"},
	{contract.Linearizability, "Complete", 0, "the index that listings go by is not written together with the record"},
	{contract.Linearizability, "NodeNotFailed", 0, "the membership is checked outside the step that writes, or not for this incarnation"},
	{contract.Linearizability, "NodeKnown", 0, "the membership is checked outside the step that writes, or not at all"},
	{contract.Linearizability, "NodeSilent", 0, "the failure timeout is counted without 2ε, or from an old heartbeat"},
}

// Cause says which mistake most often breaks a rule in an action, at a guard or a
// part of its effect; "" when there is no usual one.
func Cause(rule contract.RuleID, action, guard string) string {
	for _, c := range usualCauses {
		if c.rule == rule && (c.guard == "" || c.guard == guard) && (c.action == 0 || c.action.String() == action) {
			return c.text
		}
	}
	return ""
}
