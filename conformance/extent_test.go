package conformance_test

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

// reach returns a measure of a report.
func reach(t *testing.T, r *conformance.Report, name string) int64 {
	t.Helper()
	for _, m := range r.Extent {
		if m.Name == name {
			v, err := strconv.ParseInt(m.Value, 10, 64)
			require.NoError(t, err, name)
			return v
		}
	}
	require.Failf(t, "no such measure", "%q in %v", name, r.Extent)
	return 0
}

// The measures are those of the histories that ran: known ones of two cases.
func TestExtent(t *testing.T) {
	judge := func(pattern string) *conformance.Report {
		r, err := conformance.Judge(t.Context(), memtest.Volatile{}, conformance.OnlyCases(regexp.MustCompile(pattern)))
		require.NoError(t, err)
		require.True(t, r.Passed())
		return r
	}
	listing := judge("^contract/listing$")
	assert.EqualValues(t, 40, reach(t, listing, "most records in a cluster"))
	assert.EqualValues(t, 11, reach(t, listing, "most nodes in a cluster"))
	assert.EqualValues(t, 4, reach(t, listing, "highest epoch"))
	assert.EqualValues(t, 23, reach(t, listing, "most rows in a page"))
	assert.EqualValues(t, 1, reach(t, listing, "most operations at the same time on a handle"))
	assert.EqualValues(t, 2, reach(t, listing, "most leases in a batch"))
	cfg := registry.DefaultConfig()
	assert.EqualValues(t, cfg.TTL+cfg.Grace+4*cfg.MaxClockSkew, reach(t, listing, "longest silence between two operations"))
	assert.EqualValues(t, 6*(cfg.TTL+cfg.Grace)+2*cfg.FailureTimeout+32*cfg.MaxClockSkew, reach(t, listing, "longest span of a cluster's clock readings"))
	assert.EqualValues(t, 1_700_000_000_000_000_000, reach(t, listing, "earliest clock reading"))
	assert.Positive(t, reach(t, judge("^contract/renew-batch$"), "most leases in a batch"))

	var page bytes.Buffer
	require.NoError(t, listing.WriteHTML(&page))
	assert.Contains(t, page.String(), "<tr><td>most records in a cluster</td><td>40</td></tr>")
}

// A context that ends during a mutating call counts, whatever becomes of the case.
func TestExtentOfTrouble(t *testing.T) {
	slow := twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.claim = func(ctx context.Context, _ registry.ActorID, _ registry.NodeRef, _ registry.ClaimID) (registry.Lease, error) {
			<-ctx.Done()
			return registry.Lease{}, ctx.Err()
		}
	})}}
	r, err := conformance.Judge(t.Context(), slow, only("contract/claim-grants"), conformance.CallTimeout(30*time.Millisecond))
	require.NoError(t, err)
	assert.Positive(t, reach(t, r, "contexts that ended during a mutating call"))
}

// The level decides how many histories are drawn; what was asked for counts more.
func TestLevel(t *testing.T) {
	drawn := func(opts ...conformance.Option) int {
		return judgeOne(t, referenceBackend{}, "random/tenures", opts...).Histories
	}
	quick, normal := drawn(conformance.Level(conformance.Quick)), drawn()
	assert.Equal(t, normal, 4*quick)
	assert.Equal(t, normal, drawn(conformance.Level(conformance.Default)))
	assert.Equal(t, 10*normal, drawn(conformance.Level(conformance.Thorough)))
	assert.Equal(t, 3, drawn(conformance.Level(conformance.Thorough), conformance.Histories(3)))
	_, err := conformance.Judge(t.Context(), referenceBackend{}, conformance.Level("slow"))
	assert.ErrorIs(t, err, registry.ErrInvalid)

	b := twistedBackend{twist: twist{bend: bend(func(b *bent) { b.release = func(context.Context, registry.Lease) error { return registry.ErrHeld } })}}
	c := judgeOne(t, b, "contract/release", conformance.Level(conformance.Quick))
	require.NotNil(t, c.Conviction)
	assert.Contains(t, c.Conviction.Reproduce, " --level quick")
	c = judgeOne(t, b, "contract/release")
	assert.NotContains(t, c.Conviction.Reproduce, "--level")
}

// Run judges cases side by side when asked to, each once.
func TestRunInParallel(t *testing.T) {
	conformance.Run(t, referenceBackend{}, conformance.Parallel(4), conformance.Level(conformance.Quick), conformance.OnlySections("contract", "membership"))
}

// Walks on several clusters at the same time convict of what they convict of one after
// the other, and count the same.
func TestEdgesInIdlePlaces(t *testing.T) {
	convictedOfTheSame := func(b conformance.Backend, id string) conformance.CaseResult {
		alone, beside := judgeOne(t, b, id, conformance.Parallel(1)), judgeOne(t, b, id, conformance.Parallel(8))
		assert.Equal(t, alone.Verdict, beside.Verdict)
		assert.Equal(t, alone.Conviction, beside.Conviction)
		assert.Equal(t, alone.Coverage, beside.Coverage)
		return beside
	}
	assert.Equal(t, conformance.Pass, convictedOfTheSame(referenceBackend{}, "edges/pair").Verdict)
	broken := twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.release = func(ctx context.Context, l registry.Lease) error {
			if l.Token > 1 { // so that some clusters are right
				return registry.ErrHeld
			}
			return b.Handle.Release(ctx, l)
		}
	})}}
	c := convictedOfTheSame(broken, "edges/three")
	assert.Equal(t, conformance.Convicted, c.Verdict)
}
