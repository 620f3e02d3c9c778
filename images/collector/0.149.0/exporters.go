package main

import (
	"context"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// refusing makes an exporter with a queue refuse what comes in before the queue sees it, while there is no room.
//
// What a queue cannot write it counts all the same, until it is empty: it would take itself for full.
type refusing struct {
	exporter.Factory
}

func (f refusing) CreateTraces(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
	made, err := f.Factory.CreateTraces(ctx, set, config)
	return &traces{Traces: made}, err
}

func (f refusing) CreateMetrics(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Metrics, error) {
	made, err := f.Factory.CreateMetrics(ctx, set, config)
	return &metrics{Metrics: made}, err
}

func (f refusing) CreateLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	made, err := f.Factory.CreateLogs(ctx, set, config)
	return &logs{Logs: made}, err
}

type traces struct {
	exporter.Traces
	place
}

func (t *traces) Start(ctx context.Context, host component.Host) error {
	t.find(host)
	return t.Traces.Start(ctx, host)
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
	m.find(host)
	return m.Metrics.Start(ctx, host)
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
	l.find(host)
	return l.Logs.Start(ctx, host)
}

func (l *logs) ConsumeLogs(ctx context.Context, signals plog.Logs) error {
	if err := l.check(); err != nil {
		return err
	}
	return l.Logs.ConsumeLogs(ctx, signals)
}

// place is the disk of an exporter's queue.
type place struct {
	disk *disk
}

func (p *place) find(host component.Host) {
	for _, found := range host.GetExtensions() {
		if queues, ok := found.(*queues); ok {
			p.disk = queues.disk
		}
	}
}

func (p *place) check() error {
	if p.disk == nil || p.disk.hasRoom() {
		return nil
	}
	return syscall.ENOSPC
}
