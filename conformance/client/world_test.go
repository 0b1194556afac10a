package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// A claim whose outcome is unknown may arrive when the trouble is over and take the
// actor once more, which its client cannot know: the stated time counts from there.
func TestStatedTimeCountsFromTheLastArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(registry.DefaultConfig(), nil, 1, op.Powers{})
		require.NoError(t, err)
		w.underWay(time.Minute)
		w.underWay(time.Second)
		require.Nil(t, w.await(shop(0), w.times.Resume, "the trouble is over"))
		require.Len(t, w.findings, 1, "nobody serves, which is a breach in the end")
		assert.GreaterOrEqual(t, w.findings[0].at, time.Minute+w.times.Resume)
	})
}
