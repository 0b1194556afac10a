package dialect_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// Each field of a Dialect is listed as one difference, and no other field is in it.
func TestEveryFieldIsADifference(t *testing.T) {
	fields := reflect.TypeFor[dialect.Dialect]()
	require.Len(t, dialect.Differences(), fields.NumField())
	all := dialect.Dialect{}
	for _, f := range dialect.Differences() {
		v, set := reflect.ValueOf(f.Only), 0
		for i := range fields.NumField() {
			if !v.Field(i).IsZero() {
				set++
			}
		}
		assert.Equal(t, 1, set, f.Name)
		assert.False(t, all.Has(f), "%s is listed twice", f.Name)
		all = all.And(f.Only)
		assert.True(t, all.Has(f), f.Name)
	}
	assert.Equal(t, dialect.Differences(), all.List())
}

func TestTextAndBack(t *testing.T) {
	for _, d := range []dialect.Dialect{
		{},
		{SparseTokens: true, HoldsLonger: 50 * time.Millisecond, NoTransfer: true},
		{HoldsLonger: dialect.Unbounded, Forgets: true},
	} {
		b, err := json.Marshal(d)
		require.NoError(t, err)
		var back dialect.Dialect
		require.NoError(t, json.Unmarshal(b, &back), string(b))
		assert.Equal(t, d, back)
	}
	assert.Equal(t, "sparse-tokens,holds-longer=50ms,no-transfer",
		dialect.Dialect{SparseTokens: true, HoldsLonger: 50 * time.Millisecond, NoTransfer: true}.String())
	for _, bad := range []string{"sparse", "sparse-tokens=1", "holds-longer=x", "holds-longer=-1s", "sparse-tokens,no-tokens", "sparse-versions,bare-records", "a,,b"} {
		_, err := dialect.Parse(bad)
		assert.ErrorIs(t, err, registry.ErrInvalid, bad)
	}
}

func TestOffers(t *testing.T) {
	lock := dialect.Dialect{NoMembership: true, NoTransfer: true, NoListing: true, NoTokens: true}
	assert.Equal(t, "lock", lock.Shape())
	assert.Equal(t, "registry", dialect.Dialect{}.Shape())
	assert.Equal(t, "directory", dialect.Dialect{NoMembership: true}.Shape())
	for _, k := range []op.Kind{op.Claim, op.Renew, op.Release, op.Lookup, op.Close} {
		assert.True(t, lock.Offers(k), k)
	}
	for _, k := range []op.Kind{op.Transfer, op.Validate, op.ListActors, op.ListNodes, op.RegisterNode, op.Heartbeat, op.MarkFailed, op.DeregisterNode, op.GetNode} {
		assert.False(t, lock.Offers(k), k)
		assert.True(t, dialect.Dialect{}.Offers(k), k)
	}
}
