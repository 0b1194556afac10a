// Package fdbotel shows what fdbimpl does in FoundationDB as OpenTelemetry spans: one
// for each operation, below the span of the caller's context, with an event for each
// of its transactions and for each search for an unknown outcome. It is a package of
// its own so that nobody who embeds fdbimpl has to embed OpenTelemetry.
package fdbotel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/kelpie-registry/registry/fdbimpl"
)

const scope = "github.com/kelpie-registry/registry/fdbimpl"

// Observer is a [fdbimpl.Observer]. One may serve several handles; it is safe for
// concurrent use.
type Observer struct{ tracer trace.Tracer }

var _ fdbimpl.Observer = Observer{}

// New returns an observer that makes spans by a provider.
func New(p trace.TracerProvider) Observer { return Observer{p.Tracer(scope)} }

// Begin implements [fdbimpl.Observer].
func (o Observer) Begin(ctx context.Context, operation string) (context.Context, func(error)) {
	ctx, span := o.tracer.Start(ctx, "registry."+operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "foundationdb"), attribute.String("db.operation.name", operation)))
	return ctx, func(err error) {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// Attempted implements [fdbimpl.Observer].
func (Observer) Attempted(ctx context.Context, _ string, took time.Duration, code int) {
	trace.SpanFromContext(ctx).AddEvent("transaction", trace.WithAttributes(
		attribute.Int("foundationdb.code", code), attribute.Int64("took_us", took.Microseconds())))
}

// Settled implements [fdbimpl.Observer].
func (Observer) Settled(ctx context.Context, _ string, took time.Duration, fate fdbimpl.Fate) {
	trace.SpanFromContext(ctx).AddEvent("settled", trace.WithAttributes(
		attribute.String("registry.fate", string(fate)), attribute.Int64("took_us", took.Microseconds())))
}
