package broken

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

// actions is the specification as a table: the guard and the effect of every
// action. The sound store holds the functions of package reference; a registry
// whose mistake is a wrong decision replaces one of them.
type actions struct {
	key func(registry.ActorID) string // under which a record is stored

	claimRepeats func(registry.Config, registry.Placement, registry.NodeRef, registry.ClaimID, registry.Instant) bool
	claimGuard   func(registry.Config, registry.Placement, registry.Standing, registry.Instant) reference.Guard
	claimEffect  func(registry.Config, registry.Placement, registry.NodeRef, registry.ClaimID, registry.Instant) registry.Placement

	renewGuard  func(registry.Config, registry.Placement, registry.NodeRef, registry.Token, registry.Instant) reference.Guard
	renewEffect func(registry.Config, registry.Placement, registry.Instant) registry.Placement

	releaseRepeats func(registry.Placement, registry.Token) bool
	releaseGuard   func(registry.Placement, registry.NodeRef, registry.Token) reference.Guard
	releaseEffect  func(registry.Placement) registry.Placement

	transferGuard  func(registry.Config, registry.Placement, registry.NodeRef, registry.Token, registry.Standing, registry.Instant) reference.Guard
	transferEffect func(registry.Config, registry.Placement, registry.NodeRef, registry.Instant) registry.Placement

	validateGuard func(registry.Placement, registry.Token) reference.Guard

	standing func(registry.Node, registry.NodeRef) registry.Standing // of a claimer, and of the target of a transfer

	registerGuard  func(registry.Node, registry.RegisterMode) reference.Guard
	registerEffect func(registry.Node, registry.NodeID, registry.NodeInfo, registry.Instant) registry.Node

	heartbeatGuard  func(registry.Node, registry.NodeRef) reference.Guard
	heartbeatEffect func(registry.Node, registry.Instant) registry.Node

	markFailedRepeats func(registry.Node, registry.NodeRef) bool
	markFailedGuard   func(registry.Config, registry.Node, registry.NodeRef, registry.Instant) reference.Guard
	markFailedEffect  func(registry.Node) registry.Node

	deregisterGuard  func(registry.Node, registry.NodeRef) reference.Guard
	deregisterEffect func(registry.Node) registry.Node
}

func specified() actions {
	return actions{
		// NUL is in no name, so that no two actors share a key.
		key: func(a registry.ActorID) string { return a.Namespace + "\x00" + a.Name },

		claimRepeats: reference.ClaimRepeats,
		claimGuard:   reference.ClaimGuard,
		claimEffect:  reference.ClaimEffect,

		renewGuard:  reference.RenewGuard,
		renewEffect: reference.RenewEffect,

		releaseRepeats: reference.ReleaseRepeats,
		releaseGuard:   reference.ReleaseGuard,
		releaseEffect:  reference.ReleaseEffect,

		transferGuard:  reference.TransferGuard,
		transferEffect: reference.TransferEffect,

		validateGuard: reference.ValidateGuard,

		standing: registry.Node.Standing,

		registerGuard:  reference.RegisterNodeGuard,
		registerEffect: reference.RegisterNodeEffect,

		heartbeatGuard:  reference.HeartbeatGuard,
		heartbeatEffect: reference.HeartbeatEffect,

		markFailedRepeats: reference.MarkFailedRepeats,
		markFailedGuard:   reference.MarkFailedGuard,
		markFailedEffect:  reference.MarkFailedEffect,

		deregisterGuard:  reference.DeregisterNodeGuard,
		deregisterEffect: reference.DeregisterNodeEffect,
	}
}
