package remote

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

// The published schema names exactly the fields that the Go types have.
func TestSchemaMatchesTypes(t *testing.T) {
	text, err := os.ReadFile("protocol.schema.json")
	require.NoError(t, err)
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any
			Required   []string
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(text, &schema))
	for name, v := range map[string]any{
		"hello": hello{}, "request": request{}, "response": response{}, "config": config{}, "faults": faults{}, "actor": op.ActorFields{}, "ref": op.RefFields{},
		"record": op.RecordFields{}, "node": op.NodeFields{}, "renewal": op.RenewalFields{}, "failure": op.ErrorFields{},
	} {
		fields, required := map[string]bool{}, []string{}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			tag, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
			if tag == "" || fields[tag] {
				continue // embedded, or shadowed
			}
			fields[tag] = true
			if !strings.Contains(rest, "omit") {
				required = append(required, tag)
			}
		}
		def := schema.Defs[name]
		for p := range def.Properties {
			assert.True(t, fields[p], "%s.%s is in the schema only", name, p)
		}
		assert.Len(t, def.Properties, len(fields), name)
		assert.ElementsMatch(t, required, def.Required, name)
	}
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		`{"id":1}`, `{"id":1,"record":{"actor":{"namespace":"a","name":"b"},"token":"1","version":"2","expiry":"-3"}}`,
		`{"id":1,"error":{"reason":"ErrHeld","now":"5","record":{"actor":{"namespace":"a","name":"b"},"token":"18446744073709551615","version":"0","expiry":"0","claim_id":"00"}}}`,
		`{"id":1,"renewals":[{"error":{"reason":"x"}}]}`, ``, `{}`, `{"id":1} {"id":2}`, `{"id":-1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var r response
		if wire.Decode(line, &r) != nil {
			return
		}
		for _, k := range op.Kinds() {
			_, _ = r.Result(k)
		}
		again, err := json.Marshal(r)
		require.NoError(t, err)
		var back response
		require.NoError(t, wire.Decode(again, &back))
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"id":1,"op":"Claim","handle":"h","now":"5","actor":{"namespace":"a","name":"b"},"node":{"id":"n","epoch":"1"},"claim_id":"00000000000000000000000000000001"}`))
	f.Add([]byte(`{"id":1,"op":"New","cluster":"c","config":{"ttl_ns":1,"grace_ns":0,"max_clock_skew_ns":0,"failure_timeout_ns":1}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var r request
		if wire.Decode(line, &r) != nil {
			return
		}
		again, err := json.Marshal(r)
		require.NoError(t, err)
		var back request
		require.NoError(t, wire.Decode(again, &back))
		call, wrong := r.call()
		same, wrongToo := back.call()
		require.Equal(t, wrong, wrongToo)
		require.Equal(t, call, same)
	})
}
