package durable

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
)

// pending has the log records that receivers of log files still try to hand on. It is one for the process, because a
// receiver does not know the storage that its offsets are in.
var pending = &retries{batches: map[component.ID]map[plog.Logs]struct{}{}}

var errPending = errors.New("some lines that were read were refused: they are read again at the next start")

// retries are the batches that were refused and are tried again, by receiver.
type retries struct {
	mutex   sync.Mutex
	batches map[component.ID]map[plog.Logs]struct{}
}

// LogFiles wraps a receiver of log files whose offsets are in Storage so that, after it was ended, it reads the lines
// again that were refused. By itself it gives up trying at its end, and saves all the same how far it has read.
func LogFiles(factory receiver.Factory) receiver.Factory {
	return rereading{factory}
}

// rereading embeds the factory, because a new one would not know the component's old name.
type rereading struct {
	receiver.Factory
}

func (f rereading) CreateLogs(
	ctx context.Context, set receiver.Settings, config component.Config, next consumer.Logs,
) (receiver.Logs, error) {
	id := component.NewIDWithName(component.MustNewType("filelog"), set.ID.Name()) // the name that it has in the storage
	pending.forget(id)                                                             // what an earlier one had, when a configuration is loaded again
	watched, err := consumer.NewLogs(
		func(ctx context.Context, logs plog.Logs) error {
			err := next.ConsumeLogs(ctx, logs)
			pending.record(id, logs, err)
			return err
		}, consumer.WithCapabilities(next.Capabilities()))
	if err != nil {
		return nil, err
	}
	return f.Factory.CreateLogs(ctx, set, config, watched)
}

// record remembers a batch whose refusal makes the receiver try again, and forgets it when it was accepted.
func (r *retries) record(receiver component.ID, logs plog.Logs, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.batches[receiver], logs)
	if err == nil || consumererror.IsPermanent(err) {
		return
	}
	if r.batches[receiver] == nil {
		r.batches[receiver] = map[plog.Logs]struct{}{}
	}
	var part consumererror.Logs
	if errors.As(err, &part) { // only this part is tried again
		logs = part.Data()
	}
	r.batches[receiver][logs] = struct{}{}
}

func (r *retries) forget(receiver component.ID) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.batches, receiver)
}

func (r *retries) any(receiver component.ID) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return len(r.batches[receiver]) > 0
}

// offsets is where a receiver of log files saves how far it has read: not while lines wait to be tried again.
type offsets struct {
	storage.Client
	receiver component.ID
}

func (o *offsets) Set(ctx context.Context, key string, value []byte) error {
	return o.Batch(ctx, storage.SetOperation(key, value))
}

func (o *offsets) Batch(ctx context.Context, operations ...*storage.Operation) error {
	if pending.any(o.receiver) {
		return errPending
	}
	return o.Client.Batch(ctx, operations...)
}
