package op

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// The operations are the methods of the contract's interfaces, all of them and
// nothing else, and each has a complete row.
func TestTableIsComplete(t *testing.T) {
	var methods []string
	for _, i := range []reflect.Type{reflect.TypeFor[registry.Handle](), reflect.TypeFor[registry.BatchRenewer](), reflect.TypeFor[registry.Watcher]()} {
		for m := range i.NumMethod() {
			methods = append(methods, i.Method(m).Name)
		}
	}
	var names []string
	for _, k := range Kinds() {
		r := k.row()
		names = append(names, r.name)
		require.NotNil(t, r.do, k)
		require.Equal(t, k == Close, len(r.arguments) == 0, k)
		var keys []string
		for _, a := range r.arguments {
			require.NotEmpty(t, a.key, k)
			require.NotContains(t, keys, a.key, k)
			keys = append(keys, a.key)
			require.NotNil(t, a.print, "%v %s", k, a.key)
			require.NotNil(t, a.parse, "%v %s", k, a.key)
			require.NotNil(t, a.show, "%v %s", k, a.key)
		}
	}
	require.ElementsMatch(t, methods, names)
	require.Len(t, Kinds(), len(table)-1, "the zero Kind is none")
	require.Zero(t, table[0].name)
	require.Nil(t, table[0].do)
}

// The properties of each operation, as the contract has them. A batch reads the
// clock as often as it has leases: it is not timed as a whole.
func TestProperties(t *testing.T) {
	for _, tc := range []struct {
		name string
		is   func(Kind) bool
		want []Kind
	}{
		{"mutates", Kind.Mutates, []Kind{Claim, Renew, Release, Transfer, RenewBatch, RegisterNode, Heartbeat, MarkFailed, DeregisterNode}},
		{"timed", Kind.Timed, []Kind{Claim, Renew, Transfer, RegisterNode, Heartbeat, MarkFailed}},
		{"grants", Kind.Grants, []Kind{Claim, Renew, Transfer}},
		{"presents a lease", Kind.Presents, []Kind{Renew, Release, Transfer}},
		{"begins", func(k Kind) bool { return k.Effect() == Begins }, []Kind{Claim}},
		{"keeps", func(k Kind) bool { return k.Effect() == Keeps }, []Kind{Renew}},
		{"passes", func(k Kind) bool { return k.Effect() == Passes }, []Kind{Transfer}},
		{"ends", func(k Kind) bool { return k.Effect() == Ends }, []Kind{Release}},
		{"lists", Kind.Lists, []Kind{ListActors, ListNodes}},
		{"of a node", Kind.OfNode, []Kind{RegisterNode, Heartbeat, MarkFailed, DeregisterNode, GetNode, ListNodes}},
	} {
		require.Equal(t, tc.want, slices.DeleteFunc(Kinds(), func(k Kind) bool { return !tc.is(k) }), tc.name)
		require.False(t, tc.is(0), tc.name)
		require.False(t, tc.is(255), tc.name)
	}
}
