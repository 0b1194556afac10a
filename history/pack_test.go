package history

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// packable are operations of each form that is packed.
func packable() []Op {
	a := registry.ActorID{Namespace: "ns", Name: "a"}
	n, m := registry.NodeRef{ID: "n", Epoch: 1}, registry.NodeRef{ID: "m", Epoch: 2}
	lease := registry.Placement{Actor: a, Holder: n, Token: 3, Version: 5, Expiry: 77, ClaimID: registry.ClaimID{1}}
	other := registry.Placement{Actor: a, Holder: m, Token: 4, Version: 6, Expiry: 88, ClaimID: registry.ClaimID{2}}
	ok, found := op.Result{Outcome: op.OK}, op.Result{Outcome: op.OK, Found: true, Record: other}
	renewed := op.Result{Outcome: op.OK, Record: lease}
	var list []Op
	add := func(c op.Call, r op.Result, k Readings) {
		list = append(list, Op{Client: "c", Call: c, Result: r, Invoked: 10, Returned: 12, Clock: k})
	}
	add(op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: registry.ClaimID{1}}, renewed, Seen(60))
	add(op.OnLease(op.Renew, lease.Lease()), renewed, Within(50, 70))
	add(op.OnLease(op.Release, lease.Lease()), ok, Seen())
	add(op.Call{Kind: op.Lookup, Actor: a}, found, AnyReading())
	add(op.Call{Kind: op.Lookup, Actor: a}, ok, Seen())
	add(op.Call{Kind: op.Validate, Actor: a, Token: 9}, ok, Seen())
	add(op.Call{Kind: op.Heartbeat, Node: n}, ok, Seen(61))
	for _, why := range []error{registry.ErrHeld, registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed} {
		add(op.OnLease(op.Renew, lease.Lease()), op.Failed(&registry.Refusal{Reason: why, Placement: other, Now: 60}), Seen(60))
		add(op.OnLease(op.Renew, lease.Lease()), op.Failed(&registry.Refusal{Reason: why}), Seen(60))
	}
	return list
}

func packAndUnpack(o Op) (got Op, ok bool) {
	var p packed
	var n names
	if !p.pack(&n, &o, &o.Result) {
		return got, false
	}
	got = Op{ID: o.ID, Client: o.Client}
	p.unpack(&n, &got)
	return got, true
}

// What a recorder keeps packed it gives back as it was.
func TestPack(t *testing.T) {
	for _, o := range packable() {
		got, ok := packAndUnpack(o)
		require.True(t, ok, "%+v", o)
		require.Equal(t, o, got)
	}
}

// An operation that says more than the form has room for is not packed: each field of
// an operation, set to something else, comes back or keeps it from being packed.
func TestPackLosesNothing(t *testing.T) {
	fields, kept := 0, 0
	for _, o := range packable() {
		leaves(reflect.ValueOf(&o).Elem(), "Op", func(name string, v reflect.Value) {
			switch {
			case name == "Op.ID", name == "Op.Client", name == "Op.Call.Kind": // numbered; the client's; it says what else there is
				return
			case o.Clock.Interval && name == "Op.Clock.Interval": // bounds of no interval mean nothing
				return
			case foreign[name], !o.Clock.Interval && (name == "Op.Clock.Lo" || name == "Op.Clock.Hi"): // these mean nothing
				return
			}
			before := reflect.New(v.Type()).Elem()
			before.Set(v)
			defer v.Set(before)
			other(v)
			fields++
			got, ok := packAndUnpack(o)
			if !ok {
				return
			}
			kept++
			require.Equal(t, o, got, name)
		})
	}
	require.Greater(t, fields, 300)
	require.Greater(t, kept, 100)

	o := packable()[0]
	o.Returned = o.Invoked + math.MaxUint32 + 1
	_, ok := packAndUnpack(o)
	require.False(t, ok)
	o = packable()[7]
	o.Result.Err = fmt.Errorf("wrapped: %w", o.Result.Err)
	_, ok = packAndUnpack(o)
	require.False(t, ok)
}

// foreign are arguments of other kinds, which calls of these have zero.
var foreign = map[string]bool{
	"Op.Call.To.ID": true, "Op.Call.To.Epoch": true,
	"Op.Call.Leases": true, "Op.Call.Seen": true, "Op.Call.Info.Address": true, "Op.Call.Info.Instance": true, "Op.Call.Mode": true,
	"Op.Call.Status": true, "Op.Call.Page.After": true, "Op.Call.Page.Limit": true,
}

// leaves calls visit for everything that v consists of.
func leaves(v reflect.Value, name string, visit func(string, reflect.Value)) {
	if v.Kind() != reflect.Struct {
		visit(name, v)
		return
	}
	for i := range v.NumField() {
		leaves(v.Field(i), name+"."+v.Type().Field(i).Name, visit)
	}
}

// other sets v to another value.
func other(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Array:
		other(v.Index(0))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Interface:
		v.Set(reflect.ValueOf(&registry.Refusal{Reason: registry.ErrHeld, Now: 1}))
	default:
		panic(v.Kind())
	}
}
