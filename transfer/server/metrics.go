package server

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/transfer-runner/runner/protocol"
)

// metrics counts what the server does. The labels have few values: nothing that a peer says becomes one.
type metrics struct {
	registry *prometheus.Registry
	buffers  sync.Pool // for writing to connections

	sessions   *prometheus.GaugeVec
	messages   *prometheus.CounterVec
	bytes      *prometheus.CounterVec
	duplicates *prometheus.CounterVec
	resent     prometheus.Counter
	stages     *prometheus.HistogramVec
	errors     *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	transfers  *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "transfer", Subsystem: "runner", Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "transfer", Subsystem: "runner", Name: "sessions", Help: "Open connections.",
		}, []string{"direction"}),
		messages:   counter("messages_total", "Messages by direction of the transfer and by kind.", "direction", "kind"),
		bytes:      counter("bytes_total", "Bytes of messages, received (in) and sent (out).", "direction", "way"),
		duplicates: counter("duplicates_total", "Requests that came again, by what became of them.", "result"),
		resent: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "transfer", Subsystem: "runner", Name: "resends_total", Help: "Answers that were sent again.",
		}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "transfer", Subsystem: "runner", Name: "stage_duration_seconds", Help: "Time from start to end of a stage.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}, []string{"direction", "stage"}),
		errors:    counter("errors_total", "Errors that were answered, by code.", "direction", "code"),
		refusals:  counter("refusals_total", "Requests for a connection that were refused.", "reason"),
		transfers: counter("transfers_total", "Transfers by how they ended.", "direction", "outcome"),
	}
	m.registry.MustRegister(m.sessions, m.messages, m.bytes, m.duplicates, m.resent, m.stages, m.errors, m.refusals, m.transfers)
	return m
}

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

// stage notes how long a stage took. The name must be of a stage that exists.
func (m *metrics) stage(direction protocol.Direction, stage protocol.Stage, since time.Time) {
	m.stages.WithLabelValues(string(direction), string(stage)).Observe(time.Since(since).Seconds())
}
