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

// refused has what receivers of log files still try to hand on, which is nothing when they note how far they have read.
var refused = &batches{of: map[component.ID]map[plog.Logs]struct{}{}}

var errNotHandedOn = errors.New("not all that was read was taken: it is read again at the next start")

// batches are the log records that were refused and are tried again, by receiver.
type batches struct {
	mutex sync.Mutex
	of    map[component.ID]map[plog.Logs]struct{}
}

// LogFiles makes a receiver of log files read lines again that nobody took when it was told to end.
//
// It gives up trying then, and notes all the same that it has read them.
func LogFiles(factory receiver.Factory) receiver.Factory {
	return readAgain{factory}
}

// readAgain embeds the factory, because one made anew would not know its old name.
type readAgain struct {
	receiver.Factory
}

func (f readAgain) CreateLogs(
	ctx context.Context, set receiver.Settings, config component.Config, next consumer.Logs,
) (receiver.Logs, error) {
	id := component.NewIDWithName(component.MustNewType("filelog"), set.ID.Name()) // as it names its storage
	refused.forget(id)                                                             // of one that ended, when a configuration is read again
	watched, err := consumer.NewLogs(
		func(ctx context.Context, logs plog.Logs) error {
			err := next.ConsumeLogs(ctx, logs)
			refused.note(id, logs, err)
			return err
		}, consumer.WithCapabilities(next.Capabilities()))
	if err != nil {
		return nil, err
	}
	return f.Factory.CreateLogs(ctx, set, config, watched)
}

func (b *batches) note(id component.ID, logs plog.Logs, err error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	delete(b.of[id], logs)
	if err == nil || consumererror.IsPermanent(err) {
		return
	}
	if b.of[id] == nil {
		b.of[id] = map[plog.Logs]struct{}{}
	}
	var part consumererror.Logs
	if errors.As(err, &part) { // only that is tried again
		logs = part.Data()
	}
	b.of[id][logs] = struct{}{}
}

func (b *batches) forget(id component.ID) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	delete(b.of, id)
}

func (b *batches) any(id component.ID) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return len(b.of[id]) > 0
}

// offsets is where a receiver notes how far it has read.
type offsets struct {
	storage.Client
	id component.ID
}

func (o *offsets) Set(ctx context.Context, key string, value []byte) error {
	return o.Batch(ctx, storage.SetOperation(key, value))
}

func (o *offsets) Batch(ctx context.Context, operations ...*storage.Operation) error {
	if refused.any(o.id) {
		return errNotHandedOn
	}
	return o.Client.Batch(ctx, operations...)
}
