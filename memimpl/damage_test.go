package memimpl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// exampleFile returns the bytes of a registry file that has a snapshot and commits
// after it, as a process that was killed leaves it, and what it shows.
func exampleFile(t testing.TB) (content []byte, shows string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example")
	s := openStore(t, path, nil)
	h := openHandle(t, s)
	nodes := []registry.NodeRef{mustRegister(t, h, "n1"), mustRegister(t, h, "n2")}
	for i := range 20 {
		mustClaim(t, h, named(fmt.Sprintf("actor-%03d", i)), nodes[i%2])
	}
	require.NoError(t, s.Close())
	s = openStore(t, path, nil)
	h = openHandle(t, s)
	mustClaim(t, h, named("held"), nodes[0])
	require.NoError(t, h.Release(ctx, mustClaim(t, h, named("free"), nodes[1])))
	shows = contents(t, s)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content, shows
}

// tryOpen opens a file of that content and returns what it shows.
func tryOpen(t testing.TB, path string, content []byte) (string, error) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
	s, err := New(short, OnFile(path))
	if err != nil {
		return "", err
	}
	defer s.Close()
	return contents(t, s), nil
}

func isDiagnosed(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrForeign) || errors.Is(err, ErrFormat)
}

// TestFlippedBits: a flipped bit is detected, or the file shows what it showed, or
// it hit the newest commit, which is then missing alone. Nothing panics. (Package
// logfile flips every bit of a file.)
func TestFlippedBits(t *testing.T) {
	content, shows := exampleFile(t)
	path, rnd := filepath.Join(t.TempDir(), "flipped"), rand.New(rand.NewPCG(3, 3))
	same, err := tryOpen(t, path, content)
	require.NoError(t, err)
	require.Equal(t, shows, same)

	const flips = 200
	detected := 0
	for i := range flips {
		at := rnd.IntN(len(content))
		if i%2 == 0 { // the batches more often than chance has it
			at = 3*4096 + rnd.IntN(len(content)-3*4096)
		}
		bit := byte(1) << rnd.IntN(8)
		content[at] ^= bit
		now, err := tryOpen(t, path, content)
		switch {
		case err != nil:
			require.Truef(t, isDiagnosed(err), "byte %d, bit %x: %v", at, bit, err)
			detected++
		case now != shows:
			require.Greaterf(t, at, len(content)-200, "byte %d, bit %x", at, bit)
		}
		content[at] ^= bit
	}
	t.Logf("%d flips, %d detected", flips, detected)
	require.Greater(t, detected, flips/3)
}

var ignored = visitor{
	record: func(registry.Placement) {}, node: func(registry.Node) {}, floor: func(registry.Floor, registry.ActorID) {},
}

// TestValuesThatContradict: values that are whole by themselves and are not what a
// registry can have held are damage.
func TestValuesThatContradict(t *testing.T) {
	record := registry.Placement{Actor: named("a"), Token: 1, Version: 1}
	node := registry.Node{Ref: registry.NodeRef{ID: "n1", Epoch: 1}, Status: registry.NodeActive}
	whole := append(appendNode(nil, node), appendRecord(nil, record)...)
	var d decoder
	require.NoError(t, d.batch(whole, ignored))

	noToken, early, nobody, noStatus, noEpoch := record, record, record, node, node
	noToken.Token = 0
	early.Token = 2
	nobody.Holder.ID = "n1"
	noStatus.Status = registry.AnyStatus
	noEpoch.Ref.Epoch = 0
	for name, batch := range map[string][]byte{
		"no token":               appendRecord(nil, noToken),
		"fewer changes than one": appendRecord(nil, early),
		"holder without epoch":   appendRecord(nil, nobody),
		"no status":              appendNode(nil, noStatus),
		"no epoch":               appendNode(nil, noEpoch),
		"no actor":               appendRecord(nil, registry.Placement{Token: 1, Version: 1}),
		"floor without token":    appendFloor(nil, registry.Floor{Version: 1}, registry.ActorID{}),
		"floor of a part":        appendFloor(nil, registry.Floor{Token: 2, Version: 1}, registry.ActorID{}),
		"floor of half a name":   appendFloor(nil, registry.Floor{Token: 1, Version: 1}, registry.ActorID{Name: "a"}),
		"unknown kind":           append([]byte("x"), whole...),
		"cut off":                whole[:len(whole)-1],
		"one byte more":          append(whole, kindActor),
	} {
		err := d.batch(batch, ignored)
		require.Error(t, err, name)
	}
}

// FuzzDecodeBatch: what is accepted is what the encoder writes for it, byte by byte.
func FuzzDecodeBatch(f *testing.F) {
	held := registry.Placement{Actor: named("x"), Holder: registry.NodeRef{ID: "n", Epoch: 3}, Token: 2, Version: 700, Expiry: -1, ClaimID: registry.ClaimID{9}}
	f.Add(appendRecord(appendRecord(nil, held), registry.Placement{Actor: named("y"), Token: 1, Version: 2}))
	f.Add(appendNode(nil, registry.Node{Ref: registry.NodeRef{ID: "n", Epoch: 3}, Info: registry.NodeInfo{Address: "é"}, Status: registry.NodeLeft, LastSeen: 5}))
	f.Add(appendFloor(appendFloor(nil, registry.Floor{Token: 2, Version: 300}, named("x")), registry.Floor{Token: 1, Version: 1}, registry.ActorID{}))
	f.Fuzz(func(t *testing.T, batch []byte) {
		var again []byte
		d := decoder{version: formatVersion}
		err := d.batch(batch, visitor{
			record: func(p registry.Placement) { again = appendRecord(again, p) },
			node:   func(n registry.Node) { again = appendNode(again, n) },
			floor:  func(f registry.Floor, a registry.ActorID) { again = appendFloor(again, f, a) },
		})
		if err == nil {
			require.Equal(t, string(batch), string(again))
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add(encodeHeader(registry.DefaultConfig()))
	f.Add([]byte{9, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, cfg, err := decodeHeader(b)
		if err != nil {
			require.True(t, isDiagnosed(err), err)
			return
		}
		require.Equal(t, b, encodeHeader(cfg))
	})
}
