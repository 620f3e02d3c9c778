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

	// full says that there is no room beside the reserve.
	full atomic.Bool
	// kept says that the reserve is there.
	kept atomic.Bool
	// mutex is held while the reserve is made or given away; for reading while something is written.
	mutex  sync.RWMutex
	tried  time.Time
	warned time.Time
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
	d.ending, d.stopped = make(chan struct{}), make(chan struct{})
	go d.listen()
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.refill(); !d.kept.Load() {
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

// keep writes what must not fail, with the reserve if need be, and waits for room if that is not enough.
func (d *disk) keep(write func() error) error {
	err := d.write(write)
	for isFull(err) {
		d.mutex.Lock()
		d.filled()
		d.kept.Store(false)
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

// hasRoom tells whether there is room beside the reserve, and looks for some when there was none a while ago.
func (d *disk) hasRoom() bool {
	if !d.full.Load() {
		return true
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.full.Load() && time.Since(d.tried) > retryInterval {
		if d.refill(); d.kept.Load() && d.hasMore() {
			d.full.Store(false)
		}
		d.tried = time.Now()
	}
	return !d.full.Load()
}

func (d *disk) filled() {
	d.full.Store(true)
	d.tried = time.Now()
	if time.Since(d.warned) > warningInterval {
		d.warned = time.Now()
		d.telemetry.Logger.Error("The disk of the queues is full: what comes in is refused until there is room",
			zap.String("directory", filepath.Dir(d.reserve)))
	}
}

// refill keeps back what there is of the disk. It never gives any of it back.
func (d *disk) refill() {
	size := int64(0)
	if found, err := os.Stat(d.reserve); err == nil {
		size = found.Size()
	}
	if more := min(mostReserve-size, d.available()-leftForFiles); more > 0 {
		err := fill(d.reserve, size+more)
		switch {
		case err == nil:
			size += more
		case isFull(err): // less than it was said to be
			_ = os.Truncate(d.reserve, size)
		default: // the queues may be written all the same
			d.telemetry.Logger.Error("Nothing is kept back of the queues' disk: when it is full, signals are lost",
				zap.Error(err))
			size = mostReserve
		}
	}
	d.kept.Store(size >= leastReserve)
}

// hasMore tells whether there is as much room again as is kept back.
func (d *disk) hasMore() bool {
	if d.available() < mostReserve+leftForFiles {
		return false
	}
	probe := d.reserve + ".probe"
	_ = os.Remove(probe) // of one that was killed
	defer func() { _ = os.Remove(probe) }()
	return !isFull(fill(probe, mostReserve))
}

// available gives the bytes that the disk says it has, which may be more than it gives.
func (d *disk) available() int64 {
	var found syscall.Statfs_t
	if syscall.Statfs(filepath.Dir(d.reserve), &found) != nil {
		return math.MaxInt64
	}
	return int64(min(found.Bavail*uint64(found.Bsize), math.MaxInt64))
}

// fill makes a file as large as it is to be.
func fill(path string, wanted int64) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	found, err := file.Stat()
	if err != nil {
		return err
	}
	// Not zeros: file systems that compress would keep no room for them.
	chunk := make([]byte, mebibyte)
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for missing := wanted - found.Size(); missing > 0; missing -= mebibyte {
		_, _ = random.Read(chunk)
		if _, err = file.Write(chunk[:min(mebibyte, missing)]); err != nil {
			return err
		}
	}
	return file.Sync()
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
