package durable

import (
	"context"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Exporter wraps an exporter so that it refuses requests while its queue, if it is in Storage, has no room.
//
// It refuses them before the queue sees them, because the queue counts even what it could not write, until it is empty,
// and would believe that it is full.
func Exporter(factory exporter.Factory) exporter.Factory {
	return refusing{factory}
}

type refusing struct {
	exporter.Factory
}

func (f refusing) CreateTraces(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
	made, err := f.Factory.CreateTraces(ctx, set, config)
	return &traces{Traces: made, admission: admission{id: queueID{set.ID, "traces"}}}, err
}

func (f refusing) CreateMetrics(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Metrics, error) {
	made, err := f.Factory.CreateMetrics(ctx, set, config)
	return &metrics{Metrics: made, admission: admission{id: queueID{set.ID, "metrics"}}}, err
}

func (f refusing) CreateLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	made, err := f.Factory.CreateLogs(ctx, set, config)
	return &logs{Logs: made, admission: admission{id: queueID{set.ID, "logs"}}}, err
}

type traces struct {
	exporter.Traces
	admission
}

func (t *traces) Start(ctx context.Context, host component.Host) error {
	if err := t.Traces.Start(ctx, host); err != nil {
		return err
	}
	t.find(host)
	return nil
}

func (t *traces) ConsumeTraces(ctx context.Context, signals ptrace.Traces) error {
	if err := t.check(); err != nil {
		return err
	}
	return t.Traces.ConsumeTraces(ctx, signals)
}

type metrics struct {
	exporter.Metrics
	admission
}

func (m *metrics) Start(ctx context.Context, host component.Host) error {
	if err := m.Metrics.Start(ctx, host); err != nil {
		return err
	}
	m.find(host)
	return nil
}

func (m *metrics) ConsumeMetrics(ctx context.Context, signals pmetric.Metrics) error {
	if err := m.check(); err != nil {
		return err
	}
	return m.Metrics.ConsumeMetrics(ctx, signals)
}

type logs struct {
	exporter.Logs
	admission
}

func (l *logs) Start(ctx context.Context, host component.Host) error {
	if err := l.Logs.Start(ctx, host); err != nil {
		return err
	}
	l.find(host)
	return nil
}

func (l *logs) ConsumeLogs(ctx context.Context, signals plog.Logs) error {
	if err := l.check(); err != nil {
		return err
	}
	return l.Logs.ConsumeLogs(ctx, signals)
}

// admission decides whether an exporter takes a request of one signal.
type admission struct {
	id    queueID
	queue *queue // nil when the exporter has no queue in Storage
}

// find looks for the queue, which the exporter has opened when it was started.
func (a *admission) find(host component.Host) {
	for _, extension := range host.GetExtensions() {
		if found, ok := extension.(*durableStorage); ok {
			if opened, ok := found.queues.Load(a.id); ok {
				a.queue = opened.(*queue)
			}
		}
	}
}

func (a *admission) check() error {
	if a.queue == nil || a.queue.hasRoom() {
		return nil
	}
	return syscall.ENOSPC
}
