package durable

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/ptrace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

func TestEachRequestThatWasInFlightIsMovedInOneTransaction(t *testing.T) {
	queue, client, _ := newFakeQueue(t, map[string]string{"qmv0": "0 1 in flight", "0": "a", "1": "b"})

	batch(t, queue, storage.DeleteOperation("0"), storage.DeleteOperation("1"))
	batch(t, queue, set("qmv0", "…"), set("2", "a"))
	batch(t, queue, set("qmv0", "…"), set("3", "b"))

	expect(t, "transactions", len(client.states), 2)
	expect(t, "after the first", requests(client.states[0]), "1=b 2=a")
	expect(t, "after the second", requests(client.states[1]), "2=a 3=b")
}

func TestARequestThatIsNotAddedAgainIsRemovedWhenTheQueueIsRead(t *testing.T) {
	queue, client, _ := newFakeQueue(t, map[string]string{"0": "cannot be read", "1": "b"})

	batch(t, queue, storage.DeleteOperation("0"), storage.DeleteOperation("1"))
	batch(t, queue, set("qmv0", "…"), set("2", "b"))
	batch(t, queue, set("qmv0", "…"), storage.GetOperation("2"))

	expect(t, "in the end", requests(client.values), "2=b")
}

func TestOnlyWhatIsThereIsMoved(t *testing.T) {
	queue, client, _ := newFakeQueue(t, map[string]string{"1": "b"}) // 0 was moved before a kill

	batch(t, queue, storage.DeleteOperation("0"), storage.DeleteOperation("1"))
	batch(t, queue, set("qmv0", "…"), set("2", "b"))

	expect(t, "in the end", requests(client.values), "2=b")
}

func TestAQueueThatIsReadRemovesAtOnce(t *testing.T) {
	queue, client, _ := newFakeQueue(t, map[string]string{"0": "a"})

	batch(t, queue, set("qmv0", "…"), storage.GetOperation("0"))
	batch(t, queue, storage.DeleteOperation("0"))

	expect(t, "in the end", requests(client.values), "")
}

func TestAMoveThatFailsLeavesTheFileAsItIs(t *testing.T) {
	queue, client, _ := newFakeQueue(t, map[string]string{"0": "a", "1": "b"})
	batch(t, queue, storage.DeleteOperation("0"), storage.DeleteOperation("1"))

	client.fails = errors.New("damaged")
	if err := queue.Batch(t.Context(), set("qmv0", "…"), set("2", "a")); !errors.Is(err, client.fails) {
		t.Errorf("it fails with %v", err)
	}
	client.fails = nil
	err := queue.Batch(t.Context(), set("qmv0", "…"), set("3", "b"))

	expect(t, "the next one fails", errors.Is(err, syscall.ENOSPC), true)
	expect(t, "in the end", requests(client.values), "0=a 1=b")
}

func TestADeliveryOnAFullDiskTakesTheReserve(t *testing.T) {
	queue, client, volume := newFakeQueue(t, map[string]string{"0": "a"})
	volume.leave(0)

	batch(t, queue, set("qmv0", "…"), storage.DeleteOperation("0"))

	expect(t, "in the end", requests(client.values), "")
	expect(t, "full", queue.disk.full.Load(), true)
	expect(t, "reserved", queue.disk.reserved.Load(), false)
	if _, err := os.Stat(queue.disk.reserve); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the reserve is still there: %v", err)
	}
}

func TestADeliveryWaitsForRoomWhereTheReserveIsNotEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, client, volume := newFakeQueue(t, map[string]string{"0": "a"})
		volume.leave(0)
		client.needs = largestReserve + mebibyte
		done := make(chan error, 1)

		go func() { done <- queue.Batch(t.Context(), set("qmv0", "…"), storage.DeleteOperation("0")) }()
		time.Sleep(10 * retryInterval)
		synctest.Wait()
		expect(t, "while it waits", requests(client.values), "0=a")
		volume.leave(2 * largestReserve)

		if err := <-done; err != nil {
			t.Error(err)
		}
		expect(t, "in the end", requests(client.values), "")
	})
}

func TestACollectorThatEndsWhileADeliveryWaitsLeavesTheFileAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, client, volume := newFakeQueue(t, map[string]string{"0": "a"})
		volume.leave(0)
		client.needs = largestReserve + mebibyte
		done := make(chan error, 1)

		go func() { done <- queue.Batch(t.Context(), set("qmv0", "…"), storage.DeleteOperation("0")) }()
		synctest.Wait()
		close(queue.disk.ending)
		expect(t, "it fails for room", isFull(<-done), true)
		volume.leave(4 * largestReserve)
		tried := client.tried

		expect(t, "so does the next one", isFull(queue.Set(t.Context(), "qmv0", nil)), true)
		expect(t, "without a try", client.tried, tried)
		expect(t, "in the end", requests(client.values), "0=a")
	})
}

func TestAFullDiskRefusesRequestsAndTriesOnlyTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, client, volume := newFakeQueue(t, map[string]string{})
		volume.leave(0)

		for range 3 {
			expect(t, "refused", isFull(queue.Batch(t.Context(), set("qmv0", "…"), set("0", "a"))), true)
			time.Sleep(2 * retryInterval)
		}

		expect(t, "tries", client.tried, 1)
		expect(t, "reserved", queue.disk.reserved.Load(), true)
	})
}

func TestARequestThatWaitedTooLongOnAFullDiskIsNotWritten(t *testing.T) {
	queue, client, volume := newFakeQueue(t, map[string]string{})
	volume.leave(0)
	_ = queue.Batch(t.Context(), set("qmv0", "…"), set("0", "a"))
	ended, end := context.WithCancel(t.Context())
	end()

	err := queue.Batch(ended, set("qmv0", "…"), set("0", "a"))

	expect(t, "it fails", errors.Is(err, context.Canceled), true)
	expect(t, "tries", client.tried, 1)
}

func TestRequestsAreAcceptedAgainWhenDeliveriesHaveFreedRoomInTheFile(t *testing.T) {
	queue, client, volume := newFakeQueue(t, map[string]string{"0": "a"})
	batch(t, queue, set("qmv0", "…"), storage.GetOperation("0"))
	volume.leave(0)
	expect(t, "refused", isFull(queue.Batch(t.Context(), set("qmv0", "…"), set("1", "b"))), true)

	client.needs = 0 // a delivery that its file has room for, as it has afterwards for others
	batch(t, queue, set("qmv0", "…"), storage.DeleteOperation("0"))
	batch(t, queue, set("qmv0", "…"), set("1", "b"))

	expect(t, "in the end", requests(client.values), "1=b")
	expect(t, "full", queue.disk.full.Load(), true)
}

func TestTheRoomThatDeliveriesHaveFreedIsTriedUntilItIsUsedUp(t *testing.T) {
	queue, client, volume := newFakeQueue(t, map[string]string{"0": "a"})
	batch(t, queue, set("qmv0", "…"), storage.GetOperation("0"))
	volume.leave(0)
	queue.disk.markFull()
	client.needs = 0
	batch(t, queue, set("qmv0", "…"), storage.DeleteOperation("0"))
	client.needs, client.tried = mebibyte, 0

	for range 3 {
		expect(t, "refused", isFull(queue.Batch(t.Context(), set("qmv0", "…"), set("1", "b"))), true)
	}

	expect(t, "tries", client.tried, 1)
}

func TestRequestsAreNotAcceptedWithoutTheReserve(t *testing.T) {
	queue, client, volume := newFakeQueue(t, map[string]string{"0": "a"})
	volume.leave(0)
	batch(t, queue, set("qmv0", "…"), storage.DeleteOperation("0")) // takes the reserve
	client.needs = 0

	expect(t, "refused", isFull(queue.Batch(t.Context(), set("qmv0", "…"), set("1", "b"))), true)
}

// The exporter's real queue, to see that it does what queue relies on.
func TestARealQueueLosesNothingWhereverItIsKilledWhileItStarts(t *testing.T) {
	const number = 5
	before := &fakeClient{volume: &fakeVolume{directory: t.TempDir(), size: mebibyte}, values: map[string]string{}}
	inFlight, release := make(chan struct{}, number), make(chan struct{})
	stuck := newRealExporter(t, before, number, func(context.Context, ptrace.Traces) error {
		inFlight <- struct{}{}
		<-release
		return nil
	})
	for range number {
		if err := stuck.ConsumeTraces(t.Context(), oneSpan()); err != nil {
			t.Fatal(err)
		}
	}
	for range number {
		<-inFlight
	}
	killed := before.copy()
	close(release)
	if err := stuck.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	after := &fakeClient{volume: before.volume, values: killed}
	delivered := make(chan struct{}, number)
	started := newRealExporter(t, after, 1, func(context.Context, ptrace.Traces) error {
		delivered <- struct{}{}
		return nil
	})
	for range number {
		<-delivered
	}
	if err := started.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	for step, state := range after.states[:number] {
		if found := count(state); found != number {
			t.Errorf("%d of %d requests were in the file after transaction %d", found, number, step+1)
		}
	}
	expect(t, "requests in the end", count(after.values), 0)
}

func newRealExporter(
	t *testing.T, client *fakeClient, consumers int, push func(context.Context, ptrace.Traces) error,
) exporter.Traces {
	t.Helper()
	id := component.MustNewID("file_storage")
	disk, _ := newFakeDisk(t, 256*mebibyte)
	host := fakeHost{id: &durableStorage{Extension: &fakeStorage{client: client}, disk: disk}}
	config := exporterhelper.NewDefaultQueueConfig()
	config.NumConsumers, config.StorageID = consumers, &id
	config.Batch = configoptional.None[exporterhelper.BatchConfig]()
	set := exporter.Settings{ID: component.MustNewID("test"), TelemetrySettings: telemetry()}
	set.TracerProvider = tracenoop.NewTracerProvider()
	made, err := exporterhelper.NewTraces(
		t.Context(), set, struct{}{}, push, exporterhelper.WithQueue(configoptional.Some(config)))
	if err == nil {
		err = made.Start(t.Context(), host)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func oneSpan() ptrace.Traces {
	signals := ptrace.NewTraces()
	signals.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("a span")
	return signals
}

func TestTheRealFileStorageKeepsRequestsAndHasAReserve(t *testing.T) {
	directory := t.TempDir()
	factory := Storage(filestorage.NewFactory())
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = directory

	for run, expected := range []string{"", "a"} {
		settings := extension.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: telemetry()}
		made, err := factory.Create(t.Context(), settings, config)
		if err != nil {
			t.Fatal(err)
		}
		if err := made.Start(t.Context(), fakeHost{}); err != nil {
			t.Fatal(err)
		}
		client, err := made.(storage.Extension).GetClient(
			t.Context(), component.KindExporter, component.MustNewID("test"), "traces")
		if err != nil {
			t.Fatal(err)
		}
		found, err := client.Get(t.Context(), "0")
		if err != nil {
			t.Fatal(err)
		}
		if string(found) != expected {
			t.Errorf("run %d finds %q instead of %q", run, found, expected)
		}
		batch(t, client, set("0", "a"))
		if err := errors.Join(client.Close(t.Context()), made.Shutdown(t.Context())); err != nil {
			t.Fatal(err)
		}
	}

	found, err := os.Stat(filepath.Join(directory, "reserve"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "bytes of the reserve", found.Size(), int64(largestReserve))
}
