package fdbimpl

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

var (
	someHolder = registry.NodeRef{ID: "node-a", Epoch: 3}
	someClaim  = registry.ClaimID{1, 2, 3, 15: 16}
	someStamp  = stamp{rev: 7, mark: mark{9, 15: 1}}
)

// codecs holds every kind of stored value: values of it, and its decoder followed by
// its encoder.
var codecs = map[string]struct {
	values [][]byte
	recode func([]byte) ([]byte, error)
}{
	"tenure": {
		[][]byte{
			tenure{holder: someHolder, token: 5, claimID: someClaim}.encode(),
			tenure{token: 5, claimID: someClaim}.encode(), // released
		},
		func(b []byte) ([]byte, error) { v, err := decodeTenure(b); return v.encode(), err },
	},
	"term": {
		[][]byte{term{version: 9, expiry: -1, mark: someStamp.mark}.encode()},
		func(b []byte) ([]byte, error) { v, err := decodeTerm(b); return v.encode(), err },
	},
	"held": {
		[][]byte{held{token: 1, claimID: someClaim, version: 2, expiry: 1 << 62}.encode()},
		func(b []byte) ([]byte, error) { v, err := decodeHeld(b); return v.encode(), err },
	},
	"standing": {
		[][]byte{
			standing{stamp: someStamp, epoch: 1, status: registry.NodeActive}.encode(),
			standing{stamp: someStamp, epoch: 1, status: registry.NodeLeft, info: registry.NodeInfo{Address: strings.Repeat("ü", 512)}}.encode(),
			standing{stamp: someStamp, epoch: 1, status: registry.NodeActive, info: registry.NodeInfo{Address: "a", Instance: registry.InstanceID{15: 1}}}.encode(),
		},
		func(b []byte) ([]byte, error) { v, err := decodeStanding(b); return v.encode(), err },
	},
	"seen": {
		[][]byte{seen{stamp: someStamp, at: 4}.encode()},
		func(b []byte) ([]byte, error) { v, err := decodeSeen(b); return v.encode(), err },
	},
	"floor": {
		[][]byte{floorValue{stamp: someStamp, Floor: registry.Floor{Token: 3, Version: 9}}.encode()},
		func(b []byte) ([]byte, error) { v, err := decodeFloor(b); return v.encode(), err },
	},
	"cluster": {
		[][]byte{encodeCluster(registry.DefaultConfig())},
		func(b []byte) ([]byte, error) { v, err := decodeCluster(b); return encodeCluster(v), err },
	},
}

// A value has one encoding, and nothing that was cut or extended is taken for one:
// a record that is half read would be a wrong owner.
func TestStoredValuesAreReadBackOrRefused(t *testing.T) {
	for name, c := range codecs {
		for _, v := range c.values {
			got, err := c.recode(v)
			require.NoError(t, err, name)
			assert.Equal(t, v, got, name)
			for cut := range v {
				_, err := c.recode(v[:cut])
				assert.Error(t, err, "%s cut to %d of %d bytes", name, cut, len(v))
			}
			_, err = c.recode(append(bytes.Clone(v), 0))
			assert.ErrorContains(t, err, "goes on", name)
			other := bytes.Clone(v)
			other[0] = 9
			_, err = c.recode(other)
			assert.ErrorContains(t, err, "format is 9, want 1", name)
		}
	}
}

// What no operation writes is refused, though it has the form of a value.
func TestImpossibleValuesAreRefused(t *testing.T) {
	address := registry.NodeInfo{Address: strings.Repeat("a", registry.MaxAddressBytes+1)}
	for want, v := range map[string][]byte{
		"token":      tenure{holder: someHolder}.encode(),
		"is none":    tenure{holder: registry.NodeRef{ID: "n"}, token: 1}.encode(),
		"epoch 3":    tenure{holder: registry.NodeRef{Epoch: 3}, token: 1}.encode(),
		"not UTF-8":  tenure{holder: registry.NodeRef{ID: "\xff", Epoch: 1}, token: 1}.encode(),
		"version":    term{}.encode(),
		"version 0":  held{token: 1}.encode(),
		"token 0":    held{version: 1}.encode(),
		"epoch 0":    standing{stamp: someStamp, status: registry.NodeActive}.encode(),
		"revision 0": standing{epoch: 1, status: registry.NodeActive}.encode(),
		"status 0":   standing{stamp: someStamp, epoch: 1}.encode(),
		"status 9":   standing{stamp: someStamp, epoch: 1, status: 9}.encode(),
		"address":    standing{stamp: someStamp, epoch: 1, status: registry.NodeActive, info: address}.encode(),
		"revision":   seen{}.encode(),
	} {
		refused := 0
		for name, c := range codecs {
			if _, err := c.recode(v); err == nil {
				t.Errorf("%s: accepted as %s", want, name)
			} else if strings.Contains(err.Error(), want) {
				refused++
			}
		}
		assert.NotZero(t, refused, "nobody says %q", want)
	}
}

func TestAnotherSchemaIsRefused(t *testing.T) {
	v := encodeCluster(registry.DefaultConfig())
	v[8] = schemaFloors + 1
	_, err := decodeCluster(v)
	assert.EqualError(t, err, "schema version is 3, this program knows 1 to 2")
}

func TestCorruptErrorIsUnavailable(t *testing.T) {
	err := error(&CorruptError{Key: `a\x00`, Problem: "ends 3 bytes early"})
	assert.ErrorIs(t, err, registry.ErrUnavailable)
	assert.EqualError(t, err, `registry is unavailable: value of key a\x00 is corrupt: ends 3 bytes early`)
}

func TestCursorsAreReadBackOrRefused(t *testing.T) {
	var ns, name string
	require.NoError(t, decodeCursor(encodeCursor("a/b", "ü"), &ns, &name))
	assert.Equal(t, []string{"a/b", "ü"}, []string{ns, name})

	ns, name = "", ""
	require.NoError(t, decodeCursor("", &ns, &name))
	assert.Empty(t, ns+name)

	for _, c := range []registry.Cursor{"x", "%", "AQ", encodeCursor("one"), encodeCursor("one", ""), encodeCursor("1", "2", "3"), "\n", encodeCursor("1", "2") + "\n", "\r\n" + encodeCursor("1", "2")} {
		err := decodeCursor(c, &ns, &name)
		assert.ErrorIs(t, err, registry.ErrInvalid, "%q", c)
		assert.ErrorContains(t, err, "page cursor", "%q", c)
	}
}

// FuzzStoredValue: no bytes make a decoder panic, and what it accepts is the
// encoding of what it returns.
func FuzzStoredValue(f *testing.F) {
	for _, c := range codecs {
		for _, v := range c.values {
			f.Add(v)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, c := range codecs {
			if again, err := c.recode(b); err == nil && !bytes.Equal(again, b) {
				t.Fatalf("%s: %x was accepted and is written %x", name, b, again)
			}
		}
	})
}

// FuzzCursor: a cursor comes from a caller, who may send anything.
func FuzzCursor(f *testing.F) {
	f.Add(string(encodeCursor("ns", "name")))
	f.Fuzz(func(t *testing.T, s string) {
		var ns, name string
		if decodeCursor(registry.Cursor(s), &ns, &name) == nil && s != "" && string(encodeCursor(ns, name)) != s {
			t.Fatalf("%q was accepted and is written %q", s, encodeCursor(ns, name))
		}
	})
}

// The largest batch of renewals stays far below FoundationDB's 10 MB, counting each
// written key twice more for its conflict ranges.
func TestLargestBatchIsFarBelowTheLimit(t *testing.T) {
	longest := 2*(registry.MaxActorPartBytes+2) + registry.MaxNodeIDBytes + 64 // names, epoch, prefix
	value := len(held{}.encode())
	const rowsPerLease, copies = 4, 3 // two reads, two writes; begin and end of the conflict range, and the key
	assert.Less(t, batchSize*rowsPerLease*(copies*longest+value), 1_000_000)
}

// The evidence for an unknown outcome is read with these: a missing value is the
// stamp that the first write was based on, a value its writer's.
func TestStampsOfStoredValues(t *testing.T) {
	for name, c := range map[string]struct {
		stampOf func([]byte) (stamp, error)
		value   []byte
		want    stamp
	}{
		"term":     {stampOfTerm, term{version: 7, mark: someStamp.mark}.encode(), someStamp},
		"standing": {stampOfStanding, codecs["standing"].values[0], someStamp},
		"seen":     {stampOfSeen, codecs["seen"].values[0], someStamp},
		"cluster":  {stampOfCluster, codecs["cluster"].values[0], stamp{rev: 1}},
		"floor":    {stampOfFloor, floorValue{stamp: someStamp, Floor: registry.Floor{Token: 3, Version: 5}}.encode(), someStamp},
	} {
		got, err := c.stampOf(c.value)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
		got, err = c.stampOf(nil)
		require.NoError(t, err, name)
		assert.Equal(t, stamp{}, got, name)
		if name != "cluster" {
			_, err = c.stampOf([]byte{})
			assert.Error(t, err, "%s: an empty value is not a missing one", name)
		}
	}
}

// The part of an actor is in the keys of a store: it never changes, and the parts are
// used alike.
func TestPartsOfActors(t *testing.T) {
	var used [floorShards]int
	for i := range 100 * floorShards {
		used[floorOf(registry.ActorID{Namespace: "ns", Name: fmt.Sprint(i)})]++
	}
	assert.Greater(t, slices.Min(used[:]), 50)
	assert.Less(t, slices.Max(used[:]), 200)
	assert.Equal(t, []byte{0xd8, 0xcf, 0x4b}, []byte{
		floorOf(registry.ActorID{Namespace: "ns", Name: "a"}),
		floorOf(registry.ActorID{Namespace: "n", Name: "sa"}),
		floorOf(registry.ActorID{}),
	})
}

// A store that forgets says so in its schema version, which programs that know no floors refuse.
func TestForgettingIsInTheSchema(t *testing.T) {
	cfg := registry.DefaultConfig()
	with, other := withFloors(encodeCluster(cfg))
	assert.True(t, other)
	got, err := decodeCluster(with)
	require.NoError(t, err)
	assert.Equal(t, cfg, got)
	again, other := withFloors(with)
	assert.False(t, other)
	assert.Equal(t, with, again)
}
