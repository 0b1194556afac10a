// Package fdbprom counts what fdbimpl does in FoundationDB as Prometheus metrics. It
// is a package of its own so that nobody who embeds fdbimpl has to embed Prometheus.
package fdbprom

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl"
)

// Observer is a [fdbimpl.Observer] and a [prometheus.Collector]. One may serve
// several handles. Its labels have few values: operations, outcomes and codes, never
// actors or nodes. It is safe for concurrent use.
type Observer struct {
	operations *prometheus.HistogramVec // an ambiguous outcome is one of the outcomes
	attempts   *prometheus.HistogramVec // a conflict is code 1020
	settles    *prometheus.HistogramVec
}

var (
	_ fdbimpl.Observer     = (*Observer)(nil)
	_ prometheus.Collector = (*Observer)(nil)
)

// New returns an observer whose metrics are named namespace_fdb_….
func New(namespace string) *Observer {
	seconds := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Subsystem: "fdb", Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}, labels) // 0.5 ms to 16 s
	}
	return &Observer{
		operations: seconds("operation_seconds", "Time of operations, all attempts included.", "operation", "outcome"),
		attempts:   seconds("attempt_seconds", "Time of transactions by FoundationDB's code, 0 for none.", "operation", "code"),
		settles:    seconds("settle_seconds", "Time of finding out what became of a commit of unknown outcome.", "operation", "fate"),
	}
}

// Begin implements [fdbimpl.Observer].
func (o *Observer) Begin(ctx context.Context, operation string) (context.Context, func(error)) {
	began := time.Now()
	return ctx, func(err error) {
		o.operations.WithLabelValues(operation, outcome(err)).Observe(time.Since(began).Seconds())
	}
}

// Attempted implements [fdbimpl.Observer].
func (o *Observer) Attempted(_ context.Context, operation string, took time.Duration, code int) {
	o.attempts.WithLabelValues(operation, strconv.Itoa(code)).Observe(took.Seconds())
}

// Settled implements [fdbimpl.Observer].
func (o *Observer) Settled(_ context.Context, operation string, took time.Duration, fate fdbimpl.Fate) {
	o.settles.WithLabelValues(operation, string(fate)).Observe(took.Seconds())
}

// Describe implements [prometheus.Collector].
func (o *Observer) Describe(d chan<- *prometheus.Desc) { prometheus.DescribeByCollect(o, d) }

// Collect implements [prometheus.Collector].
func (o *Observer) Collect(m chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{o.operations, o.attempts, o.settles} {
		c.Collect(m)
	}
}

// outcome is refused for an answer of the registry that is no grant, and else how the
// store failed.
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, registry.ErrAmbiguous):
		return "ambiguous"
	case errors.Is(err, registry.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return "refused"
	}
}
