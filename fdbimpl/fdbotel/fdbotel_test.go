package fdbotel

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl"
)

// A span of an operation is below the caller's and tells its transactions.
func TestSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	p := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))
	o := New(p)
	ctx, caller := p.Tracer("test").Start(t.Context(), "caller")
	opCtx, end := o.Begin(ctx, "Claim")
	o.Attempted(opCtx, "Claim", time.Millisecond, 1021)
	o.Settled(opCtx, "Claim", 2*time.Millisecond, fdbimpl.FateRefuted)
	end(&registry.AmbiguousError{})
	_, end = o.Begin(ctx, "Renew")
	end(nil)
	caller.End()

	spans := recorder.Ended()
	require.Len(t, spans, 3)
	claim, renew := spans[0], spans[1]
	assert.Equal(t, "registry.Claim", claim.Name())
	assert.Equal(t, caller.SpanContext().SpanID(), claim.Parent().SpanID())
	assert.Equal(t, codes.Error, claim.Status().Code)
	assert.Contains(t, claim.Attributes(), attribute.String("db.operation.name", "Claim"))
	var events []string
	for _, e := range claim.Events() {
		events = append(events, e.Name)
	}
	assert.Equal(t, []string{"transaction", "settled", "exception"}, events)
	assert.Contains(t, claim.Events()[0].Attributes, attribute.Int("foundationdb.code", 1021))
	assert.Contains(t, claim.Events()[1].Attributes, attribute.String("registry.fate", "refuted"))
	assert.Equal(t, codes.Unset, renew.Status().Code)
}
