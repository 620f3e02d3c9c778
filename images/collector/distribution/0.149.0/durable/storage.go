package durable

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// Storage makes file_storage keep requests where an exporter's queue would drop them.
//
// A request leaves its queue by a write, and is dropped when that fails: on a full disk all that waits is lost when its
// backend is back. So part of the disk is kept back, for such writes alone; without room they wait, and what comes in is
// refused. And a queue that is opened removes what was on its way before it writes it anew: here it does so at once.
func Storage(factory extension.Factory) extension.Factory {
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
				disk:      &disk{reserve: filepath.Join(directory, "reserve"), telemetry: set.TelemetrySettings},
			}, nil
		},
		factory.Stability(),
	)
}

// queues is file_storage as exporters and receivers see it.
type queues struct {
	storage.Extension
	disk *disk
	// opened has the queues by their names.
	opened sync.Map
}

// queueName is an exporter and one of its signals.
type queueName struct {
	exporter component.ID
	signal   string
}

func (q *queues) Start(ctx context.Context, host component.Host) error {
	if err := q.Extension.Start(ctx, host); err != nil {
		return err
	}
	return q.disk.start()
}

func (q *queues) Shutdown(ctx context.Context) error {
	return errors.Join(q.disk.stop(), q.Extension.Shutdown(ctx))
}

func (q *queues) GetClient(
	ctx context.Context, kind component.Kind, id component.ID, name string,
) (client storage.Client, err error) {
	err = q.disk.keep(func() (err error) { // a file is made, or read by a transaction that writes
		client, err = q.Extension.GetClient(ctx, kind, id, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	switch kind {
	case component.KindExporter:
		made := &queue{Client: client, disk: q.disk}
		q.opened.Store(queueName{id, name}, made)
		return made, nil
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
	// opened says that the queue gives requests out: what it removes from now on is delivered.
	opened bool
	// moving is what is still to be removed of requests that are written anew.
	moving []*storage.Operation
	// room says that something was removed since nothing could be added: a file never gets smaller by itself.
	room atomic.Bool
	// ended says that nothing is written any more: the file stays as it is for the next start.
	ended bool
}

func (q *queue) Get(ctx context.Context, key string) ([]byte, error) {
	operation := storage.GetOperation(key)
	err := q.Batch(ctx, operation)
	return operation.Value, err
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
	if !q.opened && onlyRemoves(operations) {
		return q.putOff(ctx, operations)
	}
	adds, notes := changes(operations)
	moved := 0
	switch {
	case adds && len(q.moving) > 0:
		moved = 1
	case adds:
		return q.take(ctx, operations)
	case notes:
		q.opened = true
		moved = len(q.moving) // what could not be read, and is not written anew
	}
	operations = append(operations, q.moving[:moved]...)
	err := q.disk.keep(func() error { return q.Client.Batch(ctx, operations...) })
	if err == nil {
		q.moving = q.moving[moved:]
		if removes(operations) {
			q.room.Store(true)
		}
	}
	if q.ended = isFull(err) || err != nil && moved > 0; q.ended {
		q.disk.telemetry.Logger.Error("A queue is left as it is until the next start", zap.Error(err))
	}
	return err
}

// take writes what comes in, unless there is no room.
func (q *queue) take(ctx context.Context, operations []*storage.Operation) error {
	if q.disk.full.Load() {
		if err := ctx.Err(); err != nil { // it waited too long: its sender sends it again
			return err
		}
		if !q.hasRoom() {
			return syscall.ENOSPC
		}
	}
	err := q.disk.write(func() error { return q.Client.Batch(ctx, operations...) })
	if isFull(err) {
		q.room.Store(false)
		q.disk.mutex.Lock()
		defer q.disk.mutex.Unlock()
		q.disk.filled()
	}
	return err
}

// hasRoom tells whether something can be added: to the disk, or to what the queue has of it.
//
// A queue counts what it could not write, until it is empty. So nothing is tried in vain.
func (q *queue) hasRoom() bool {
	return q.disk.hasRoom() || q.room.Load() && q.disk.kept.Load()
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

func removes(operations []*storage.Operation) bool {
	for _, operation := range operations {
		if operation.Type == storage.Delete {
			return true
		}
	}
	return false
}

// changes tells whether a request is written, and whether anything else is.
func changes(operations []*storage.Operation) (adds, notes bool) {
	for _, operation := range operations {
		if operation.Type == storage.Set {
			adds = adds || isRequest(operation.Key)
			notes = notes || !isRequest(operation.Key)
		}
	}
	return adds, notes
}

// isRequest tells a request's key, which is its index, from that of what is known of the queue.
func isRequest(key string) bool {
	_, err := strconv.ParseUint(key, 10, 64)
	return err == nil
}
