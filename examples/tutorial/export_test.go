package tutorial

import "github.com/kelpie-registry/registry"

// Forget deletes an actor's record, as a draft of the tutorial does.
func (h *Handle) Forget(a registry.ActorID) error {
	_, err := h.database.db.Exec("DELETE FROM records WHERE cluster = ? AND namespace = ? AND name = ?", h.number, a.Namespace, a.Name)
	return err
}
