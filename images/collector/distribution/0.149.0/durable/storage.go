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

// Storage wraps file_storage so that it keeps requests that an exporter's queue would drop.
//
// A request leaves its queue by a write, and is dropped when that write fails: on a full disk, everything that waits is
// lost as soon as the backend is back. So part of the disk is reserved for such writes. Without room they wait, and new
// requests are refused. Also, a queue that is opened removes the requests that were in flight before it adds them
// again: here each removal and its addition are one transaction.
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
			return &durableStorage{
				Extension: made.(storage.Extension),
				disk:      newDisk(filepath.Join(directory, "reserve"), set.TelemetrySettings),
			}, nil
		},
		factory.Stability(),
	)
}

// durableStorage is file_storage as exporters and receivers see it.
type durableStorage struct {
	storage.Extension
	disk *disk
	// queues maps each queueID to its *queue.
	queues sync.Map
}

// queueID is an exporter and one of its signals.
type queueID struct {
	exporter component.ID
	signal   string
}

func (s *durableStorage) Start(ctx context.Context, host component.Host) error {
	if err := s.Extension.Start(ctx, host); err != nil {
		return err
	}
	return s.disk.start()
}

func (s *durableStorage) Shutdown(ctx context.Context) error {
	return errors.Join(s.disk.stop(), s.Extension.Shutdown(ctx))
}

func (s *durableStorage) GetClient(
	ctx context.Context, kind component.Kind, id component.ID, name string,
) (client storage.Client, err error) {
	// Opening creates a file, or reads one in a transaction that writes.
	err = s.disk.writeReserved(func() (err error) {
		client, err = s.Extension.GetClient(ctx, kind, id, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	switch kind {
	case component.KindExporter:
		made := &queue{Client: client, disk: s.disk}
		s.queues.Store(queueID{id, name}, made)
		return made, nil
	case component.KindReceiver:
		return &offsets{Client: client, receiver: id}, nil
	default:
		return client, nil
	}
}

// queue is one exporter's file. Its methods are not called concurrently: the exporter's queue holds a lock.
type queue struct {
	storage.Client
	disk *disk
	// reading says that the exporter takes requests out of the queue: what it removes from now on was delivered.
	reading bool
	// postponed are removals of requests that were in flight; each is done when its request is added again.
	postponed []*storage.Operation
	// freed says that something was removed since the last addition that failed: a file never becomes smaller, so the
	// queue has room of its own.
	freed atomic.Bool
	// frozen says that nothing is written any more: the file stays as it is for the next start.
	frozen bool
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
	if q.frozen {
		return syscall.ENOSPC
	}
	if !q.reading && onlyRemovesRequests(operations) {
		return q.postpone(ctx, operations)
	}
	adds, updates := changes(operations)
	due := 0 // how many postponed removals belong to this transaction
	switch {
	case adds && len(q.postponed) > 0:
		due = 1
	case adds:
		return q.add(ctx, operations)
	case updates:
		q.reading = true
		due = len(q.postponed) // requests that could not be read, and are not added again
	}
	operations = append(operations, q.postponed[:due]...)
	err := q.disk.writeReserved(func() error { return q.Client.Batch(ctx, operations...) })
	if err == nil {
		q.postponed = q.postponed[due:]
		if removes(operations) {
			q.freed.Store(true)
		}
	}
	if q.frozen = isFull(err) || err != nil && due > 0; q.frozen {
		q.disk.telemetry.Logger.Error("A queue is left as it is until the next start", zap.Error(err))
	}
	return err
}

// add writes a new request, unless there is no room.
func (q *queue) add(ctx context.Context, operations []*storage.Operation) error {
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
		q.freed.Store(false)
		q.disk.mutex.Lock()
		defer q.disk.mutex.Unlock()
		q.disk.markFull()
	}
	return err
}

// hasRoom reports whether a request can be added: there is room on the disk, or in the queue's own file.
//
// The exporter counts a request that could not be written as one of its queue's, until the queue is empty. So requests
// are refused before they are tried.
func (q *queue) hasRoom() bool {
	return q.disk.hasRoom() || q.freed.Load() && q.disk.reserved.Load()
}

// postpone leaves requests in the file until they are added again, which happens in the order of the removals.
func (q *queue) postpone(ctx context.Context, removals []*storage.Operation) error {
	found := make([]*storage.Operation, len(removals))
	for index, removal := range removals {
		found[index] = storage.GetOperation(removal.Key)
	}
	if err := q.disk.writeReserved(func() error { return q.Client.Batch(ctx, found...) }); err != nil {
		return err
	}
	for index, removal := range removals {
		if found[index].Value != nil { // the others were added again before the collector was killed
			q.postponed = append(q.postponed, removal)
		}
	}
	return nil
}

// onlyRemovesRequests recognises how a queue is opened: the exporter removes all requests that were in flight, and then
// adds them one by one.
func onlyRemovesRequests(operations []*storage.Operation) bool {
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

// changes reports whether operations write a request, and whether they write what is known of the queue.
func changes(operations []*storage.Operation) (adds, updates bool) {
	for _, operation := range operations {
		if operation.Type == storage.Set {
			adds = adds || isRequest(operation.Key)
			updates = updates || !isRequest(operation.Key)
		}
	}
	return adds, updates
}

// isRequest reports whether a key is a request's, which is its index.
func isRequest(key string) bool {
	_, err := strconv.ParseUint(key, 10, 64)
	return err == nil
}
