package durable

import (
	"context"
	"errors"
	"math"
	"math/rand"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

const mebibyte = 1 << 20

// How large the reserve is: enough to rewrite the pages of a few large requests, which a queue does whenever it updates
// what it knows of one of them. A smaller disk is reserved completely, except for what new files need.
const (
	largestReserve  = 32 * mebibyte
	smallestReserve = 4 * mebibyte
	leftForFiles    = mebibyte
)

const (
	retryInterval   = time.Second
	warningInterval = time.Minute
)

// disk is where all queues are, with a reserve: a file that occupies room only to be removed when that room is needed.
type disk struct {
	reserve   string
	telemetry component.TelemetrySettings
	metric    metric.Registration
	ending    chan struct{}
	stopped   chan struct{}

	// available returns how many bytes are free, and occupy makes a file as large as it is told to; tests replace them.
	available func() int64
	occupy    func(path string, size int64) error

	// full says that there is no room except for the reserve.
	full atomic.Bool
	// reserved says that the reserve is large enough.
	reserved atomic.Bool
	// mutex is held while the reserve is made or removed; for reading while something is written.
	mutex  sync.RWMutex
	tried  time.Time
	warned time.Time
}

func newDisk(reserve string, telemetry component.TelemetrySettings) *disk {
	return &disk{
		reserve:   reserve,
		telemetry: telemetry,
		ending:    make(chan struct{}),
		stopped:   make(chan struct{}),
		available: func() int64 { return available(filepath.Dir(reserve)) },
		occupy:    occupy,
	}
}

func (d *disk) start() (err error) {
	meter := d.telemetry.MeterProvider.Meter("letta-platform.invalid/collector")
	full, err := meter.Int64ObservableGauge("otelcol_queue_disk_full",
		metric.WithDescription("1 while the disk of the queues is full, and signals are refused that do not fit into their files"))
	if err != nil {
		return err
	}
	d.metric, err = meter.RegisterCallback(func(_ context.Context, observer metric.Observer) error {
		value := int64(1)
		if d.hasRoom() {
			value = 0
		}
		observer.ObserveInt64(full, value)
		return nil
	}, full)
	if err != nil {
		return err
	}
	go d.listen()
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.fillReserve(); !d.reserved.Load() {
		d.markFull()
	}
	return nil
}

func (d *disk) stop() error {
	if d.metric == nil { // it was not started
		return nil
	}
	close(d.stopped)
	return d.metric.Unregister()
}

// listen waits for the signal that ends the collector: queues that wait for room would delay its end.
func (d *disk) listen() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	select {
	case received := <-signals:
		signal.Stop(signals)
		close(d.ending)
		// Nothing else listens while the collector starts, so without the signal it would go on.
		_ = syscall.Kill(os.Getpid(), received.(syscall.Signal))
	case <-d.stopped:
	}
}

// writeReserved does a write that must not fail: with the room of the reserve if necessary, and if that is not enough, it
// waits until there is room or the collector ends.
func (d *disk) writeReserved(write func() error) error {
	err := d.write(write)
	for isFull(err) {
		d.mutex.Lock()
		d.markFull()
		d.reserved.Store(false)
		if err = os.Remove(d.reserve); err != nil && !errors.Is(err, os.ErrNotExist) {
			d.telemetry.Logger.Error("The reserve of the queues' disk cannot be used", zap.Error(err))
		}
		err = write()
		d.mutex.Unlock()
		if !isFull(err) {
			break
		}
		select {
		case <-d.ending:
			return err
		case <-time.After(retryInterval):
		}
	}
	return err
}

func (d *disk) write(write func() error) error {
	d.mutex.RLock()
	defer d.mutex.RUnlock()
	return write()
}

// hasRoom reports whether there is room in addition to the reserve. On a full disk it looks again once in a while.
func (d *disk) hasRoom() bool {
	if !d.full.Load() {
		return true
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.full.Load() && time.Since(d.tried) > retryInterval {
		if d.fillReserve(); d.reserved.Load() && d.hasSpare() {
			d.full.Store(false)
		}
		d.tried = time.Now()
	}
	return !d.full.Load()
}

func (d *disk) markFull() {
	d.full.Store(true)
	d.tried = time.Now()
	if time.Since(d.warned) > warningInterval {
		d.warned = time.Now()
		d.telemetry.Logger.Error("The disk of the queues is full: what comes in is refused until there is room",
			zap.String("directory", filepath.Dir(d.reserve)))
	}
}

// fillReserve makes the reserve as large as the disk allows. It never makes it smaller.
func (d *disk) fillReserve() {
	size := int64(0)
	if found, err := os.Stat(d.reserve); err == nil {
		size = found.Size()
	}
	if more := min(largestReserve-size, d.available()-leftForFiles); more > 0 {
		err := d.occupy(d.reserve, size+more)
		switch {
		case err == nil:
			size += more
		case isFull(err): // there is less than the disk says
			_ = os.Truncate(d.reserve, size)
		default: // the queues may be written all the same
			d.telemetry.Logger.Error("Nothing is kept back of the queues' disk: when it is full, signals are lost",
				zap.Error(err))
			size = largestReserve
		}
	}
	d.reserved.Store(size >= smallestReserve)
}

// hasSpare reports whether the size of a reserve is free in addition to the reserve.
func (d *disk) hasSpare() bool {
	if d.available() < largestReserve+leftForFiles {
		return false
	}
	probe := d.reserve + ".probe"
	_ = os.Remove(probe) // left by a collector that was killed
	defer func() { _ = os.Remove(probe) }()
	return !isFull(d.occupy(probe, largestReserve))
}

// available returns how many bytes a disk says are free; it may give fewer.
func available(directory string) int64 {
	var found syscall.Statfs_t
	if syscall.Statfs(directory, &found) != nil {
		return math.MaxInt64
	}
	return int64(min(found.Bavail*uint64(found.Bsize), math.MaxInt64))
}

// occupy makes a file, or extends it, to a size in bytes.
func occupy(path string, size int64) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	found, err := file.Stat()
	if err != nil {
		return err
	}
	// Not zeros: file systems that compress would occupy no room for them.
	chunk := make([]byte, mebibyte)
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for missing := size - found.Size(); missing > 0; missing -= mebibyte {
		_, _ = random.Read(chunk)
		if _, err = file.Write(chunk[:min(mebibyte, missing)]); err != nil {
			return err
		}
	}
	return file.Sync()
}

// isFull recognises a full disk, also when an error was turned into text on the way.
func isFull(err error) bool {
	if err == nil {
		return false
	}
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}
