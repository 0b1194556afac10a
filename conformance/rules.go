package conformance

import "github.com/kelpie-registry/registry/contract"

// RuleID names a rule of the contract.
type RuleID = contract.RuleID

// Rule is one rule of the contract.
type Rule = contract.Rule

// Rules lists every rule of registries that a case can cite, in the contract's order.
func Rules() []Rule { return contract.Rules() }

// ClientRules lists the rules of clients that keep leases.
func ClientRules() []Rule { return contract.ClientRules() }

// The guarantees, and the rules that are not about one operation.
const (
	SingleActivation = contract.SingleActivation
	GraceRespected   = contract.GraceRespected
	TokenMonotonic   = contract.TokenMonotonic
	NoStaleWrite     = contract.NoStaleWrite
	VersionBump      = contract.VersionBump
	Linearizability  = contract.Linearizability
	Durability       = contract.Durability
	NameLimits       = contract.NameLimits
	NamesDistinct    = contract.NamesDistinct
	InvalidFirst     = contract.InvalidFirst
	ClosedSecond     = contract.ClosedSecond
	ContextThird     = contract.ContextThird
	RefusalOrder     = contract.RefusalOrder
	RefusalNothing   = contract.RefusalNothing
	RefusalTruthful  = contract.RefusalTruthful
	ConfigMatches    = contract.ConfigMatches
	OneReading       = contract.OneReading
	RawLookup        = contract.RawLookup
	PagedListing     = contract.PagedListing
	NoSuspicion      = contract.NoSuspicion
	EpochFresh       = contract.EpochFresh
	AmbiguousTruth   = contract.AmbiguousTruth
	CallsReturn      = contract.CallsReturn
	Declared         = contract.Declared
	BatchAsSingle    = contract.BatchAsSingle
	WatchWakes       = contract.WatchWakes
	ErrorAlone       = contract.ErrorAlone
	ErrorIdentity    = contract.ErrorIdentity
	ErrorKept        = contract.ErrorKept
	ValuesOwn        = contract.ValuesOwn
	ContextOwn       = contract.ContextOwn
	CloseFrees       = contract.CloseFrees
	PurgeSpares      = contract.PurgeSpares
	ServesGranted    = contract.ServesGranted
	ServesInTime     = contract.ServesInTime
	ServesNotEnded   = contract.ServesNotEnded
	StopsFirst       = contract.StopsFirst
	ServesAsHolder   = contract.ServesAsHolder
	ServesAlone      = contract.ServesAlone
	ClientServes     = contract.ClientServes
	ClientKeeps      = contract.ClientKeeps
	ClientRetries    = contract.ClientRetries
	ClientPaced      = contract.ClientPaced
	ClientHerd       = contract.ClientHerd
	ClientNoLeak     = contract.ClientNoLeak
	ClientGivesUp    = contract.ClientGivesUp
	ClientSaysWhy    = contract.ClientSaysWhy
	ClientOwn        = contract.ClientOwn
	ClientCloses     = contract.ClientCloses
)
