package durable

import (
	"context"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// fakeExporter counts the requests of all signals that reach it.
type fakeExporter struct {
	component.StartFunc
	component.ShutdownFunc
	requests int
}

func (e *fakeExporter) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (e *fakeExporter) ConsumeTraces(context.Context, ptrace.Traces) error { return e.consume() }

func (e *fakeExporter) ConsumeMetrics(context.Context, pmetric.Metrics) error { return e.consume() }

func (e *fakeExporter) ConsumeLogs(context.Context, plog.Logs) error { return e.consume() }

func (e *fakeExporter) consume() error {
	e.requests++
	return nil
}

func fakeExporters(made *fakeExporter) exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("test"),
		func() component.Config { return struct{}{} },
		exporter.WithTraces(func(context.Context, exporter.Settings, component.Config) (exporter.Traces, error) {
			return made, nil
		}, component.StabilityLevelStable),
		exporter.WithMetrics(func(context.Context, exporter.Settings, component.Config) (exporter.Metrics, error) {
			return made, nil
		}, component.StabilityLevelStable),
		exporter.WithLogs(func(context.Context, exporter.Settings, component.Config) (exporter.Logs, error) {
			return made, nil
		}, component.StabilityLevelStable),
	)
}

// wrapped makes an exporter of one signal, and returns it with what sends it a request.
func wrapped(t *testing.T, signal string, inner *fakeExporter) (component.Component, func() error) {
	t.Helper()
	factory := Exporter(fakeExporters(inner))
	settings := exporter.Settings{ID: component.MustNewID("test"), TelemetrySettings: telemetry()}
	var made component.Component
	var send func() error
	var err error
	switch signal {
	case "traces":
		var one exporter.Traces
		one, err = factory.CreateTraces(t.Context(), settings, nil)
		made, send = one, func() error { return one.ConsumeTraces(t.Context(), ptrace.NewTraces()) }
	case "metrics":
		var one exporter.Metrics
		one, err = factory.CreateMetrics(t.Context(), settings, nil)
		made, send = one, func() error { return one.ConsumeMetrics(t.Context(), pmetric.NewMetrics()) }
	case "logs":
		var one exporter.Logs
		one, err = factory.CreateLogs(t.Context(), settings, nil)
		made, send = one, func() error { return one.ConsumeLogs(t.Context(), plog.NewLogs()) }
	}
	if err != nil {
		t.Fatal(err)
	}
	return made, send
}

func TestAnExporterRefusesWhileItsQueueHasNoRoom(t *testing.T) {
	for _, signal := range []string{"traces", "metrics", "logs"} {
		t.Run(signal, func(t *testing.T) {
			inner := &fakeExporter{}
			made, send := wrapped(t, signal, inner)
			disk, volume := newFakeDisk(t, 256*mebibyte)
			client := &fakeClient{volume: volume, values: map[string]string{}}
			storage := &durableStorage{Extension: &fakeStorage{client: client}, disk: disk}
			if _, err := storage.GetClient(
				t.Context(), component.KindExporter, component.MustNewID("test"), signal); err != nil {
				t.Fatal(err)
			}
			if err := made.Start(t.Context(), fakeHost{component.MustNewID("file_storage"): storage}); err != nil {
				t.Fatal(err)
			}

			expect(t, "with room", send(), nil)
			disk.markFull()
			expect(t, "refused without", isFull(send()), true)

			expect(t, "requests that reach it", inner.requests, 1)
		})
	}
}

func TestAnExporterWithoutAQueueInStorageRefusesNothing(t *testing.T) {
	for _, signal := range []string{"traces", "metrics", "logs"} {
		t.Run(signal, func(t *testing.T) {
			inner := &fakeExporter{}
			made, send := wrapped(t, signal, inner)
			disk, _ := newFakeDisk(t, 256*mebibyte)
			disk.markFull()
			host := fakeHost{component.MustNewID("file_storage"): &durableStorage{disk: disk}}
			if err := made.Start(t.Context(), host); err != nil {
				t.Fatal(err)
			}

			expect(t, "not refused", send(), nil)

			expect(t, "requests that reach it", inner.requests, 1)
		})
	}
}
