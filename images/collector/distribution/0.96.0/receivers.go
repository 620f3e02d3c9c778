package main

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// startedLast makes receivers that serve several signals start with the last of their pipelines.
//
// An OTLP receiver has one server for all signals, which starts with the first of its pipelines. Requests for the
// others then reach exporters whose queues are not open yet: that crashes the process, or overwrites what the queue
// knows of its requests.
func startedLast(factory receiver.Factory) receiver.Factory {
	pending := &pending{left: map[component.ID]int{}}
	return receiver.NewFactory(
		factory.Type(),
		factory.CreateDefaultConfig,
		receiver.WithTraces(
			func(ctx context.Context, set receiver.CreateSettings, config component.Config, next consumer.Traces) (receiver.Traces, error) {
				made, err := factory.CreateTracesReceiver(ctx, set, config, next)
				return pending.hold(set.ID, made, err)
			}, factory.TracesReceiverStability()),
		receiver.WithMetrics(
			func(ctx context.Context, set receiver.CreateSettings, config component.Config, next consumer.Metrics) (receiver.Metrics, error) {
				made, err := factory.CreateMetricsReceiver(ctx, set, config, next)
				return pending.hold(set.ID, made, err)
			}, factory.MetricsReceiverStability()),
		receiver.WithLogs(
			func(ctx context.Context, set receiver.CreateSettings, config component.Config, next consumer.Logs) (receiver.Logs, error) {
				made, err := factory.CreateLogsReceiver(ctx, set, config, next)
				return pending.hold(set.ID, made, err)
			}, factory.LogsReceiverStability()),
	)
}

// pending counts, for each receiver, the signals whose pipelines are created and not started.
type pending struct {
	mutex sync.Mutex
	left  map[component.ID]int
}

func (p *pending) hold(id component.ID, made component.Component, err error) (component.Component, error) {
	if err != nil {
		return nil, err
	}
	p.add(id, 1)
	return &held{Component: made, id: id, pending: p}, nil
}

func (p *pending) add(id component.ID, number int) int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.left[id] += number
	return p.left[id]
}

// held is a receiver as the pipeline of one signal sees it. All components are created before the first one starts.
type held struct {
	component.Component
	id      component.ID
	pending *pending
	begun   bool
}

func (h *held) Start(ctx context.Context, host component.Host) error {
	h.begun = true
	if h.pending.add(h.id, -1) > 0 {
		return nil
	}
	return h.Component.Start(ctx, host)
}

func (h *held) Shutdown(ctx context.Context) error {
	if !h.begun { // a pipeline that was to start before it has failed
		h.pending.add(h.id, -1)
	}
	return h.Component.Shutdown(ctx)
}
