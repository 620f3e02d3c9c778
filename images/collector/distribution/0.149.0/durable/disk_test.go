package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestTheReserveIsAsLargeAsTheDiskAllows(t *testing.T) {
	for _, one := range []struct {
		free, size int64
		reserved   bool
	}{
		{free: 256 * mebibyte, size: largestReserve, reserved: true},
		{free: largestReserve + leftForFiles, size: largestReserve, reserved: true},
		{free: 10 * mebibyte, size: 9 * mebibyte, reserved: true},
		{free: smallestReserve + leftForFiles, size: smallestReserve, reserved: true},
		{free: smallestReserve, size: smallestReserve - leftForFiles, reserved: false},
		{free: 0, size: 0, reserved: false},
	} {
		disk, _ := newFakeDisk(t, one.free)

		if err := disk.start(); err != nil {
			t.Fatal(err)
		}

		what := fmt.Sprintf("with %d bytes free, ", one.free)
		expect(t, what+"bytes of the reserve", sizeOf(disk.reserve), one.size)
		expect(t, what+"reserved", disk.reserved.Load(), one.reserved)
		expect(t, what+"full", disk.full.Load(), !one.reserved)
		if err := disk.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheReserveNeverBecomesSmaller(t *testing.T) {
	disk, volume := newFakeDisk(t, 256*mebibyte)
	disk.fillReserve()
	volume.leave(0)

	disk.fillReserve()

	expect(t, "bytes of the reserve", sizeOf(disk.reserve), int64(largestReserve))
	expect(t, "reserved", disk.reserved.Load(), true)
}

func TestADiskThatGivesLessThanItSaysHasNoReserve(t *testing.T) {
	disk, volume := newFakeDisk(t, 2*mebibyte)
	disk.available = func() int64 { return 256 * mebibyte }

	disk.fillReserve()

	expect(t, "reserved", disk.reserved.Load(), false)
	expect(t, "bytes of the reserve", sizeOf(disk.reserve), 0)
	expect(t, "bytes free", volume.available(), 2*mebibyte)
}

func TestAReserveThatCannotBeMadeKeepsNoQueueFromBeingWritten(t *testing.T) {
	disk, _ := newFakeDisk(t, 256*mebibyte)
	disk.occupy = func(string, int64) error { return os.ErrPermission }

	disk.fillReserve()

	expect(t, "reserved", disk.reserved.Load(), true)
}

func TestAFullDiskHasRoomAgainOnceThereIsTheReserveAndAsMuchAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, volume := newFakeDisk(t, 256*mebibyte)
		disk.markFull()
		for _, one := range []struct {
			free int64
			room bool
		}{
			{free: leftForFiles, room: false},
			{free: largestReserve + leftForFiles, room: false}, // becomes the reserve
			{free: largestReserve, room: false},
			{free: largestReserve + leftForFiles, room: true},
		} {
			volume.leave(one.free)
			time.Sleep(2 * retryInterval)

			expect(t, fmt.Sprintf("room with %d bytes free", one.free), disk.hasRoom(), one.room)
		}
		expect(t, "bytes of a probe", sizeOf(disk.reserve+".probe"), 0)
	})
}

func TestAFullDiskIsNotLookedAtAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, _ := newFakeDisk(t, 256*mebibyte)
		disk.markFull()

		expect(t, "room at once", disk.hasRoom(), false)
		time.Sleep(2 * retryInterval)
		expect(t, "room after a while", disk.hasRoom(), true)
	})
}

func TestAWriteThatFailsForAnotherReasonLeavesTheReserve(t *testing.T) {
	disk, _ := newFakeDisk(t, 256*mebibyte)
	disk.fillReserve()
	damaged := errors.New("invalid database")

	err := disk.writeReserved(func() error { return damaged })

	expect(t, "it fails", errors.Is(err, damaged), true)
	expect(t, "bytes of the reserve", sizeOf(disk.reserve), int64(largestReserve))
}

func TestTheMetricSaysWhetherTheDiskIsFull(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	disk, _ := newFakeDisk(t, 256*mebibyte)
	disk.telemetry.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	if err := disk.start(); err != nil {
		t.Fatal(err)
	}

	expect(t, "with room", readGauge(t, reader), 0)
	disk.markFull()
	expect(t, "without", readGauge(t, reader), 1)

	if err := disk.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestTheSignalThatEndsTheCollectorEndsWaitingAndIsPassedOn(t *testing.T) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	defer signal.Stop(signals)
	disk, _ := newFakeDisk(t, 256*mebibyte)
	if err := disk.start(); err != nil {
		t.Fatal(err)
	}
	// listen is a goroutine that may not have got to it yet, and the signal is not kept for it.
	for ended := false; !ended; {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-signals
		select {
		case <-disk.ending:
			ended = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	<-signals // the one that listen passes on

	if err := disk.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestTheRealFileSystemIsOccupied(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "file")
	for _, size := range []int64{mebibyte + 1, 3 * mebibyte} {
		if err := occupy(path, size); err != nil {
			t.Fatal(err)
		}
		var found syscall.Stat_t
		if err := syscall.Stat(path, &found); err != nil {
			t.Fatal(err)
		}
		expect(t, "bytes", found.Size, size)
		expect(t, "blocks for all of it", found.Blocks*512 >= size, true)
	}
	expect(t, "bytes free", available(directory) > 0, true)
}

func TestAFullDiskIsRecognisedInAnErrorsText(t *testing.T) {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, fmt.Errorf("write: %w", syscall.ENOSPC), errNoSpace} {
		expect(t, full.Error(), isFull(full), true)
	}
	for _, other := range []error{nil, syscall.EIO, context.Canceled} {
		expect(t, fmt.Sprint(other), isFull(other), false)
	}
}

func sizeOf(path string) int64 {
	found, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return found.Size()
}

func readGauge(t *testing.T, reader sdkmetric.Reader) int64 {
	t.Helper()
	var found metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &found); err != nil {
		t.Fatal(err)
	}
	for _, scope := range found.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if metric.Name == "otelcol_queue_disk_full" {
				return metric.Data.(metricdata.Gauge[int64]).DataPoints[0].Value
			}
		}
	}
	t.Fatal("the metric is not there")
	return 0
}
