package concurrent

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// Contract, Watch: it returns as soon as the version differs. One that has had all
// the time of a call has missed the change; one that a deadline of the store's own
// has ended before that may fail as any call may.
func TestOnlyAWatchThatHadItsTimeHasOverslept(t *testing.T) {
	actor := registry.ActorID{Namespace: "n", Name: "a"}
	tooLate := op.Failed(context.DeadlineExceeded)
	changed := func(call.Call) op.Result { return op.Result{Record: registry.Placement{Version: 2}} }

	t.Run("ended by itself", func(t *testing.T) {
		var under watches
		k, ends := under.begins(call.WatchCall(actor, 0))
		look := func(watch call.Call) op.Result {
			ends() // while it is looked at
			return changed(watch)
		}
		under.awaken(time.Hour, look)
		require.Nil(t, k.judge(&tooLate))
	})
	t.Run("overslept", func(t *testing.T) {
		var under watches
		k, ends := under.begins(call.WatchCall(actor, 0))
		defer ends()
		under.awaken(time.Nanosecond, changed)
		o := k.judge(&tooLate)
		require.NotNil(t, o)
		require.Equal(t, contract.WatchWakes, o.Rule)
		require.Nil(t, k.judge(&op.Result{Record: registry.Placement{Version: 2}}), "it woke after all")
	})
}
