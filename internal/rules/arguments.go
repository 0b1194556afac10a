package rules

import (
	"cmp"

	"github.com/kelpie-registry/registry"
)

// The argument checks of the operations with more than one argument, in
// parameter order; an operation with one argument calls its Validate method.
// They come before everything else: a bad argument is reported by a closed
// handle and under a done context too, and touches nothing.

// CheckClaim checks the arguments of Claim.
func CheckClaim(actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) error {
	return cmp.Or(actor.Validate(), node.Validate(), id.Validate())
}

// CheckTransfer checks the arguments of Transfer.
func CheckTransfer(lease registry.Lease, to registry.NodeRef) error {
	return cmp.Or(lease.Validate(), to.Validate())
}

// CheckValidate checks the arguments of Validate.
func CheckValidate(actor registry.ActorID, token registry.Token) error {
	return cmp.Or(actor.Validate(), token.Validate())
}

// CheckListActors checks the arguments of ListActors.
func CheckListActors(node registry.NodeRef, page registry.Page) error {
	return cmp.Or(node.Validate(), page.Validate())
}

// CheckRegisterNode checks the arguments of RegisterNode.
func CheckRegisterNode(id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) error {
	return cmp.Or(id.Validate(), info.Validate(), mode.Validate())
}

// CheckListNodes checks the arguments of ListNodes.
func CheckListNodes(status registry.NodeStatus, page registry.Page) error {
	return cmp.Or(status.Validate(), page.Validate())
}
