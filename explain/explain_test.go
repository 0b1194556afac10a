package explain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// Every action and guard that a rule names stands in the specification, and every
// action that a history can break.
func TestPlacesExist(t *testing.T) {
	reads := map[string]bool{"GetNode": true, "ListNodes": true, "ListActors": true} // of the state, which has no operator of its own
	for _, r := range append(contract.Rules(), contract.ClientRules()...) {
		c := New(r.ID, "", "", "", "")
		if r.Action != "" && !reads[r.Action] {
			require.NotEmpty(t, c.Place, r.ID)
		}
		if r.Guard != "" {
			require.Equal(t, Place(string(r.Guard)), c.Place)
			require.Contains(t, c.Definition, string(r.Guard)+"(")
		}
	}
	for _, k := range op.Kinds() {
		if k != op.Close && k != op.RenewBatch && k != op.Watch && !reads[k.String()] {
			require.NotEmpty(t, New("", k.String(), "", "", "").Place, k)
		}
	}
	require.Empty(t, Place("NoSuchOperator"))
	require.Empty(t, Definition("Claim"), "it goes on in the next line")
}

// Each usual cause is told of a rule that exists.
func TestCausesAreOfRules(t *testing.T) {
	for _, c := range usualCauses {
		require.NotEmpty(t, c.rule.Rule().ID, c.text)
	}
	require.Contains(t, Cause(contract.VersionBump, "Renew", "Version"), "lost update")
	require.Contains(t, Cause(contract.Linearizability, "Renew", "TenureHeld"), "an update was lost")
	require.Empty(t, Cause(contract.Linearizability, "Renew", "Expiry"))
}

// What came one after the other is a list, in which what is repeated is told once.
func TestList(t *testing.T) {
	look := Row{Client: "n1", Clock: "T+0s", Call: "Lookup(a)", Answer: "no record"}
	rows := []Row{look, look, {Call: "--", Answer: "a crash"}, look}
	for i := range rows {
		if rows[i].Client != "" {
			rows[i].Number = i + 1
		}
	}
	rows[3].Mark = ">"
	require.Equal(t, `   #  client  its clock  call       answer
   1  n1      T+0s       Lookup(a)  no record  (2 times)
                         --         a crash
>  4  n1      T+0s       Lookup(a)  no record
`, List(rows))
	rows[0].At = "T+1s"
	require.Contains(t, List(rows), "true time")
}
