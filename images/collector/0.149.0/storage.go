package main

import (
	"context"
	"errors"
	"math/rand"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// What is kept back of the disk: enough to rewrite the pages of a few large requests, which a queue does whenever it
// notes something about one of them. Where there is less room than that, it is as much as there is.
const (
	mostReserve  = 32 << 20
	leastReserve = 4 << 20
)

const (
	retryInterval   = time.Second
	warningInterval = time.Minute
)

// lossless makes file_storage keep requests where an exporter's queue would drop them.
//
// A request leaves its queue by a write, and is dropped when that fails: on a full disk all that waits is lost when its
// backend is back. So part of the disk is kept back, for such writes alone; without room they wait, and what comes in is
// refused. And a queue that is opened removes what was on its way before it writes it anew: here it does so at once.
func lossless(factory extension.Factory) extension.Factory {
	return extension.NewFactory(
		factory.Type(),
		factory.CreateDefaultConfig,
		func(ctx context.Context, set extension.Settings, config component.Config) (extension.Extension, error) {
			made, err := factory.Create(ctx, set, config)
			if err != nil {
				return nil, err
			}
			directory := config.(*filestorage.Config).Directory
			return &queues{
				Extension: made.(storage.Extension),
				disk:      &disk{reserve: filepath.Join(directory, "reserve"), logger: set.Logger},
			}, nil
		},
		factory.Stability(),
	)
}

// queues is file_storage as exporters and receivers see it.
type queues struct {
	storage.Extension
	disk *disk
}

func (q *queues) Start(ctx context.Context, host component.Host) error {
	if err := q.Extension.Start(ctx, host); err != nil {
		return err
	}
	q.disk.start()
	return nil
}

func (q *queues) Shutdown(ctx context.Context) error {
	if q.disk.stop != nil { // it was started
		q.disk.stop()
	}
	return q.Extension.Shutdown(ctx)
}

func (q *queues) GetClient(ctx context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	client, err := q.Extension.GetClient(ctx, kind, id, name)
	if err != nil {
		return nil, err
	}
	switch kind {
	case component.KindExporter:
		return &queue{Client: client, disk: q.disk}, nil
	case component.KindReceiver:
		return &offsets{Client: client, id: id}, nil
	default:
		return client, nil
	}
}

// queue is one exporter's file. Only one of its methods is called at a time: a queue has a lock.
type queue struct {
	storage.Client
	disk *disk
	// moving is what is still to be removed of requests that are written anew.
	moving []*storage.Operation
	// ended says that nothing is written any more: the file stays as it is for the next start.
	ended bool
}

func (q *queue) Set(ctx context.Context, key string, value []byte) error {
	return q.Batch(ctx, storage.SetOperation(key, value))
}

func (q *queue) Delete(ctx context.Context, key string) error {
	return q.Batch(ctx, storage.DeleteOperation(key))
}

func (q *queue) Batch(ctx context.Context, operations ...*storage.Operation) error {
	if q.ended {
		return syscall.ENOSPC
	}
	if onlyRemoves(operations) {
		return q.putOff(ctx, operations)
	}
	adds := holdsRequest(operations)
	moves := adds && len(q.moving) > 0
	if moves {
		operations = append(operations, q.moving[0])
	}
	write := func() error { return q.Client.Batch(ctx, operations...) }
	if adds && !moves {
		return q.disk.take(write)
	}
	err := q.disk.keep(write)
	if moves && err == nil {
		q.moving = q.moving[1:]
	}
	q.ended = isFull(err)
	return err
}

// putOff leaves requests where they are until they are written anew, in the order in which they are to be removed.
func (q *queue) putOff(ctx context.Context, removals []*storage.Operation) error {
	found := make([]*storage.Operation, len(removals))
	for index, removal := range removals {
		found[index] = storage.GetOperation(removal.Key)
	}
	if err := q.disk.keep(func() error { return q.Client.Batch(ctx, found...) }); err != nil {
		return err
	}
	for index, removal := range removals {
		if found[index].Value != nil { // others were moved before the collector was killed
			q.moving = append(q.moving, removal)
		}
	}
	return nil
}

// onlyRemoves tells what a queue does when it is opened: it removes the requests that were on their way, and then adds
// them one by one.
func onlyRemoves(operations []*storage.Operation) bool {
	for _, operation := range operations {
		if operation.Type != storage.Delete || !isRequest(operation.Key) {
			return false
		}
	}
	return len(operations) > 0
}

func holdsRequest(operations []*storage.Operation) bool {
	for _, operation := range operations {
		if operation.Type == storage.Set && isRequest(operation.Key) {
			return true
		}
	}
	return false
}

// isRequest tells a request's key, which is its index, from that of what is known of the queue.
func isRequest(key string) bool {
	_, err := strconv.ParseUint(key, 10, 64)
	return err == nil
}

// disk is what all queues are on.
type disk struct {
	reserve string
	logger  *zap.Logger
	ending  context.Context
	stop    context.CancelFunc

	// full says that nothing is taken in until there is a reserve again.
	full atomic.Bool
	// mutex is held while the reserve is made or given away; for reading while something is written.
	mutex  sync.RWMutex
	tried  time.Time
	warned time.Time
}

func (d *disk) start() {
	// Told to end, a queue must not wait for room: whoever ends the collector waits for it.
	d.ending, d.stop = signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.refill()
}

// take writes what comes in, unless the disk is full.
func (d *disk) take(write func() error) error {
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
			d.logger.Error("The reserve of the queues' disk cannot be used", zap.Error(err))
		}
		err = write()
		d.mutex.Unlock()
		if !isFull(err) {
			break
		}
		select {
		case <-d.ending.Done():
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

func (d *disk) hasRoom() bool {
	if !d.full.Load() {
		return true
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if time.Since(d.tried) < retryInterval {
		return false
	}
	d.refill()
	return !d.full.Load()
}

func (d *disk) filled() {
	d.full.Store(true)
	if time.Since(d.warned) > warningInterval {
		d.warned = time.Now()
		d.logger.Error("The disk of the queues is full: what comes in is refused until there is room",
			zap.String("directory", filepath.Dir(d.reserve)))
	}
}

// refill keeps back what there is of the disk, and tells whether that is enough to take requests in.
func (d *disk) refill() {
	d.tried = time.Now()
	size, err := fill(d.reserve)
	switch {
	case err == nil || isFull(err) && size >= leastReserve:
		d.full.Store(false)
	case isFull(err):
		d.filled()
		_ = os.Remove(d.reserve)
	default:
		d.full.Store(false) // writes may be possible all the same
		d.logger.Error("Nothing can be kept back of the queues' disk: when it is full, signals are lost", zap.Error(err))
	}
}

// fill gives the reserve all its bytes, or as many as there is room for, and says how many it has.
func fill(path string) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	found, err := file.Stat()
	if err != nil {
		return 0, err
	}
	// Not zeros: file systems that compress would keep no room for them.
	chunk := make([]byte, 1<<20)
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for size = found.Size(); size < mostReserve && err == nil; {
		_, _ = random.Read(chunk)
		var written int
		written, err = file.Write(chunk[:min(len(chunk), int(mostReserve-size))])
		size += int64(written)
	}
	return size, errors.Join(err, file.Sync())
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
