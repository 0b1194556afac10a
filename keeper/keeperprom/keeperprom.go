// Package keeperprom counts what a keeper does as Prometheus metrics. It is a
// package of its own so that nobody who embeds a keeper has to embed Prometheus.
package keeperprom

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/keeper"
)

// Observer is a [keeper.Observer] and a [prometheus.Collector]. One may serve
// several keepers. Its labels have few values: outcomes and causes, never
// actors or nodes. It is safe for concurrent use.
type Observer struct {
	claims   *prometheus.HistogramVec
	renewals *prometheus.HistogramVec
	lost     *prometheus.CounterVec
	degraded prometheus.Gauge
}

var (
	_ keeper.Observer      = (*Observer)(nil)
	_ prometheus.Collector = (*Observer)(nil)
)

// New returns an observer whose metrics are named namespace_keeper_….
func New(namespace string) *Observer {
	name := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: namespace, Subsystem: "keeper", Name: name, Help: help}
	}
	seconds := func(n, help string) prometheus.HistogramOpts {
		o := name(n, help)
		return prometheus.HistogramOpts{Namespace: o.Namespace, Subsystem: o.Subsystem, Name: o.Name, Help: o.Help,
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)} // 0.5 ms to 16 s
	}
	return &Observer{
		claims:   prometheus.NewHistogramVec(seconds("claim_seconds", "Time of claims by outcome."), []string{"outcome"}),
		renewals: prometheus.NewHistogramVec(seconds("renewal_seconds", "Time of renewals by outcome."), []string{"outcome"}),
		lost:     prometheus.NewCounterVec(prometheus.CounterOpts(name("tenures_ended_total", "Tenures that ended, by cause.")), []string{"cause"}),
		degraded: prometheus.NewGauge(prometheus.GaugeOpts(name("tenures_degraded", "Tenures whose renewals keep failing."))),
	}
}

// Claimed implements [keeper.Observer].
func (o *Observer) Claimed(_ registry.ActorID, took time.Duration, err error) {
	o.claims.WithLabelValues(label(err)).Observe(took.Seconds())
}

// Renewed implements [keeper.Observer].
func (o *Observer) Renewed(_ registry.Lease, took time.Duration, err error) {
	o.renewals.WithLabelValues(label(err)).Observe(took.Seconds())
}

// Degraded implements [keeper.Observer].
func (o *Observer) Degraded(*keeper.Tenure, error) { o.degraded.Inc() }

// Healthy implements [keeper.Observer].
func (o *Observer) Healthy(*keeper.Tenure) { o.degraded.Dec() }

// Lost implements [keeper.Observer].
func (o *Observer) Lost(e *keeper.LostError) {
	o.lost.WithLabelValues(label(e.Cause)).Inc()
	if e.Degraded {
		o.degraded.Dec()
	}
}

// Describe implements [prometheus.Collector].
func (o *Observer) Describe(d chan<- *prometheus.Desc) { prometheus.DescribeByCollect(o, d) }

// Collect implements [prometheus.Collector].
func (o *Observer) Collect(m chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{o.claims, o.renewals, o.lost, o.degraded} {
		c.Collect(m)
	}
}

// labels are the values of outcome and cause, the first that matches.
var labels = []struct {
	err  error
	name string
}{
	{registry.ErrAmbiguous, "ambiguous"},
	{registry.ErrHeld, "held"},
	{registry.ErrFenced, "fenced"},
	{registry.ErrNotHeld, "not_held"},
	{registry.ErrLapsed, "lapsed"},
	{registry.ErrNodeFailed, "node_failed"},
	{registry.ErrNodeUnknown, "node_unknown"},
	{registry.ErrUnavailable, "unavailable"},
	{registry.ErrClosed, "closed"},
	{keeper.ErrReleased, "released"},
	{keeper.ErrDeadline, "deadline"},
	{keeper.ErrNodeOver, "node_over"},
	{context.DeadlineExceeded, "timeout"},
	{context.Canceled, "canceled"},
}

func label(err error) string {
	if err == nil {
		return "ok"
	}
	for _, l := range labels {
		if errors.Is(err, l.err) {
			return l.name
		}
	}
	return "other"
}
