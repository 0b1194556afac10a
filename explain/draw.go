package explain

import (
	"io"

	"github.com/anishathalye/porcupine"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
)

// Draw writes a self-contained HTML page with a timeline of h for each client and
// the order found, or the longest ones there are. res is the result of checking h.
// What is drawn [linearizability.Timeline] says.
func Draw(w io.Writer, h history.History, res linearizability.Result) error {
	model, ops, err := linearizability.Timeline(h, res)
	if err != nil {
		return err
	}
	_, info := porcupine.CheckOperationsVerbose(model, ops, linearizability.DefaultTimeout) // part of it is a picture too
	return porcupine.Visualize(model, info, w)
}
