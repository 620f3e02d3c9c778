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

// Exporter makes an exporter with a queue refuse what comes in before the queue sees it, while there is no room.
//
// What a queue cannot write it counts all the same, until it is empty: it would take itself for full.
func Exporter(factory exporter.Factory) exporter.Factory {
	return refusing{factory}
}

type refusing struct {
	exporter.Factory
}

func (f refusing) CreateTraces(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
	made, err := f.Factory.CreateTraces(ctx, set, config)
	return &traces{Traces: made, place: place{name: queueName{set.ID, "traces"}}}, err
}

func (f refusing) CreateMetrics(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Metrics, error) {
	made, err := f.Factory.CreateMetrics(ctx, set, config)
	return &metrics{Metrics: made, place: place{name: queueName{set.ID, "metrics"}}}, err
}

func (f refusing) CreateLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	made, err := f.Factory.CreateLogs(ctx, set, config)
	return &logs{Logs: made, place: place{name: queueName{set.ID, "logs"}}}, err
}

type traces struct {
	exporter.Traces
	place
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
	place
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
	place
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

// place is where an exporter keeps its queue of a signal.
type place struct {
	name  queueName
	queue *queue
}

func (p *place) find(host component.Host) {
	for _, extension := range host.GetExtensions() {
		if found, ok := extension.(*queues); ok {
			if opened, ok := found.opened.Load(p.name); ok {
				p.queue = opened.(*queue)
			}
		}
	}
}

func (p *place) check() error {
	if p.queue == nil || p.queue.hasRoom() {
		return nil
	}
	return syscall.ENOSPC
}
