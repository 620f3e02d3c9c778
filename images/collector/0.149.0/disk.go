package main

import (
	"context"
	"errors"
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
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

const mebibyte = 1 << 20

// What is kept back: enough to rewrite the pages of a few large requests, which a queue does whenever it notes something
// about one of them. Where there is less room than that, it is as much as there is, but for what new files need.
const (
	mostReserve  = 32 * mebibyte
	leastReserve = 4 * mebibyte
	leftForFiles = mebibyte
)

const (
	retryInterval   = time.Second
	warningInterval = time.Minute
)

// disk is what all queues are on, with a file that takes room only to give it away.
type disk struct {
	reserve   string
	telemetry component.TelemetrySettings
	metric    metric.Registration
	ending    chan struct{}
	stopped   chan struct{}

	// full says that nothing is taken in.
	full atomic.Bool
	// room says that something was removed from a queue since nothing was taken in.
	room atomic.Bool
	// mutex is held while the reserve is made or given away; for reading while something is written.
	mutex  sync.RWMutex
	tried  time.Time
	warned time.Time
}

func (d *disk) start() (err error) {
	d.ending, d.stopped = make(chan struct{}), make(chan struct{})
	go d.listen()
	meter := d.telemetry.MeterProvider.Meter("letta-platform.invalid/collector")
	full, err := meter.Int64ObservableGauge("otelcol_queue_disk_full",
		metric.WithDescription("1 while signals are refused because the disk of the queues is full"))
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
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if !d.refill() {
		d.filled()
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

// listen learns when the collector is told to end: whoever ends it waits for queues that wait for room.
func (d *disk) listen() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	select {
	case told := <-signals:
		signal.Stop(signals)
		close(d.ending)
		// While the collector starts nobody else listens, and it would go on.
		_ = syscall.Kill(os.Getpid(), told.(syscall.Signal))
	case <-d.stopped:
	}
}

// take writes what comes in, unless the disk is full.
func (d *disk) take(ctx context.Context, write func() error) error {
	if err := ctx.Err(); err != nil { // it waited too long: its sender sends it again
		return err
	}
	if !d.hasRoom() {
		return syscall.ENOSPC
	}
	err := d.write(write)
	if isFull(err) {
		d.mutex.Lock()
		defer d.mutex.Unlock()
		d.tried = time.Now()
		d.filled()
	}
	return err
}

// keep writes what must not fail, with the reserve if need be, and waits for room if that is not enough.
func (d *disk) keep(write func() error) error {
	err := d.write(write)
	for isFull(err) {
		d.mutex.Lock()
		d.filled()
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

// freed says that there may be room in a queue's file, which never becomes smaller by itself.
func (d *disk) freed(operations []*storage.Operation) {
	for _, operation := range operations {
		if operation.Type == storage.Delete {
			d.room.Store(true)
		}
	}
}

func (d *disk) write(write func() error) error {
	d.mutex.RLock()
	defer d.mutex.RUnlock()
	return write()
}

// hasRoom tells whether signals can be taken in, and looks for room when they could not a while ago.
//
// A queue counts what it could not write, until it is empty. So nothing is tried in vain.
func (d *disk) hasRoom() bool {
	if !d.full.Load() {
		return true
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if time.Since(d.tried) < retryInterval {
		return !d.full.Load()
	}
	d.tried = time.Now()
	if d.refill() && (d.room.Load() || d.hasMore()) {
		d.full.Store(false)
	}
	return !d.full.Load()
}

func (d *disk) filled() {
	d.full.Store(true)
	d.room.Store(false)
	if time.Since(d.warned) > warningInterval {
		d.warned = time.Now()
		d.telemetry.Logger.Error("The disk of the queues is full: what comes in is refused until there is room",
			zap.String("directory", filepath.Dir(d.reserve)))
	}
}

// refill keeps back what there is of the disk, and tells whether that is enough to take signals in.
func (d *disk) refill() bool {
	size, err := fill(d.reserve, mostReserve)
	if isFull(err) {
		if size -= leftForFiles; size >= leastReserve && os.Truncate(d.reserve, size) == nil {
			return true
		}
		_ = os.Remove(d.reserve)
		return false
	}
	if err != nil { // the queues may be written all the same
		d.telemetry.Logger.Error("Nothing is kept back of the queues' disk: when it is full, signals are lost",
			zap.Error(err))
	}
	return true
}

// hasMore tells whether there is room beside the reserve.
func (d *disk) hasMore() bool {
	probe := d.reserve + ".probe"
	defer func() { _ = os.Remove(probe) }()
	_, err := fill(probe, leastReserve)
	return !isFull(err)
}

// fill makes a file as large as it is to be, or as there is room for, and says how large it is.
func fill(path string, wanted int64) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	found, err := file.Stat()
	if err != nil {
		return 0, err
	}
	size = found.Size()
	if size >= wanted {
		return size, nil
	}
	// Not zeros: file systems that compress would keep no room for them.
	chunk := make([]byte, mebibyte)
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for size < wanted && err == nil {
		_, _ = random.Read(chunk)
		var written int
		written, err = file.Write(chunk[:min(mebibyte, wanted-size)])
		size += int64(written)
	}
	return size, errors.Join(err, file.Sync())
}

// isFull tells a full disk, also where an error was made a text of.
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
