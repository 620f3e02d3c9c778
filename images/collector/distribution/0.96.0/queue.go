package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/experimental/storage"
	"go.uber.org/zap"
)

// The keys under which this version keeps what it knows of a queue. Its requests are below their indices.
const (
	readKey       = "ri"
	writeKey      = "wi"
	dispatchedKey = "di"
)

// goingBack makes file_storage hand out queues that a later version has left in a form that this one can read.
//
// This version would take such a queue for an empty one, and write over what is in it.
func goingBack(factory extension.Factory) extension.Factory {
	return extension.NewFactory(
		factory.Type(),
		factory.CreateDefaultConfig,
		func(ctx context.Context, set extension.CreateSettings, config component.Config) (extension.Extension, error) {
			made, err := factory.CreateExtension(ctx, set, config)
			if err != nil {
				return nil, err
			}
			return &queues{Extension: made.(storage.Extension), logger: set.Logger}, nil
		},
		factory.ExtensionStability(),
	)
}

// queues is file_storage as exporters see it.
type queues struct {
	storage.Extension
	logger *zap.Logger
	config *confmap.Conf
}

// NotifyConfig keeps the collector's configuration. It is called before exporters open their queues.
func (q *queues) NotifyConfig(_ context.Context, config *confmap.Conf) error {
	q.config = config
	return nil
}

func (q *queues) GetClient(ctx context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	client, err := q.Extension.GetClient(ctx, kind, id, name)
	if err != nil || kind != component.KindExporter { // others keep no queue
		return client, err
	}
	client = &laterClient{client}
	logger := q.logger.With(zap.Stringer("exporter", id), zap.String("signal", name))
	if err = translate(ctx, client, logger); err == nil {
		err = shorten(ctx, client, q.capacity(id), largest(id), logger)
	}
	if err != nil {
		err = fmt.Errorf("the queue of %q for %s cannot be read, and nothing of it is lost yet; let the version that "+
			"wrote it deliver it first, or move its file away: %w", id, name, err)
		return nil, errors.Join(err, client.Close(ctx))
	}
	return client, nil
}

// capacity gives how many requests an exporter's queue may hold.
func (q *queues) capacity(id component.ID) uint64 {
	if q.config != nil {
		size, ok := q.config.Get("exporters::" + id.String() + "::sending_queue::queue_size").(int)
		if ok {
			return uint64(size)
		}
	}
	return uint64(exporterhelper.NewDefaultQueueSettings().QueueSize)
}

// largest gives how many bytes an exporter's request may have: servers of OTLP over gRPC refuse more than 4 MiB for
// good, unless they are told otherwise.
func largest(id component.ID) int {
	if id.Type() == "otlp" {
		return 3 << 20
	}
	return math.MaxInt
}

// translate brings what a later version knows of a queue into this version's form, in one transaction.
func translate(ctx context.Context, client storage.Client, logger *zap.Logger) error {
	message, err := client.Get(ctx, laterKey)
	if err != nil || len(message) == 0 {
		return err
	}
	found, err := laterIndices(message)
	if err != nil {
		return err
	}
	if err := client.Batch(ctx, append(found.save(), storage.DeleteOperation(laterKey))...); err != nil {
		return err
	}
	logger.Info("Took over the queue of a later version", zap.Uint64("waiting_requests", found.waiting()))
	return nil
}

// shorten joins requests, oldest first, until at most half of the queue's capacity is used.
//
// Later versions count bytes and batch after the queue, so many small requests wait. This version counts requests:
// of those that were on their way it drops what is more than its capacity, and for room for the others it waits at its
// start, where nothing makes any. Half of it is left for what comes in meanwhile, because what was found does not count.
// Each transaction leaves a queue that can be read. No request becomes larger than largest; when more are left than the
// queue takes, that is an error.
func shorten(ctx context.Context, client storage.Client, capacity uint64, largest int, logger *zap.Logger) error {
	found, err := load(ctx, client)
	if err != nil {
		return err
	}
	before, most := found.waiting(), max(capacity/2, 1)
	if before <= most {
		return nil
	}
	each := int((before + most - 1) / most)
	for end := found.write; len(found.dispatched) > 0 || found.read < end; {
		// Messages with nothing but a list, one after the other, are the message with all their elements.
		var joined []byte
		var operations []storage.Operation
		for count := 0; count < each && (len(found.dispatched) > 0 || found.read < end); count++ {
			key := strconv.FormatUint(found.next(), 10)
			request, err := client.Get(ctx, key)
			if err != nil {
				return err
			}
			// One that cannot be read must not spoil others.
			if count > 0 && (len(joined)+len(request) > largest || isLater(request) || isLater(joined)) {
				break
			}
			found.take()
			joined = append(joined, request...)
			operations = append(operations, storage.DeleteOperation(key))
		}
		if len(joined) > 0 {
			operations = append(operations, storage.SetOperation(strconv.FormatUint(found.write, 10), joined))
			found.write++
		}
		if err := client.Batch(ctx, append(operations, found.save()...)...); err != nil {
			return err
		}
	}
	logger.Info("Joined requests that wait in the queue, to make room",
		zap.Uint64("before", before), zap.Uint64("after", found.waiting()))
	if found.waiting() > capacity {
		return fmt.Errorf("%d requests wait, which cannot be joined further, and this version's queue takes %d",
			found.waiting(), capacity)
	}
	return nil
}

// indices says where in a queue requests are: those from read to below write wait, and dispatched ones were on their
// way when the collector ended.
type indices struct {
	read, write uint64
	dispatched  []uint64
}

func (i *indices) waiting() uint64 {
	return i.write - i.read + uint64(len(i.dispatched))
}

// next gives the oldest index.
func (i *indices) next() uint64 {
	if len(i.dispatched) > 0 {
		return i.dispatched[0]
	}
	return i.read
}

// take forgets it.
func (i *indices) take() {
	if len(i.dispatched) > 0 {
		i.dispatched = i.dispatched[1:]
	} else {
		i.read++
	}
}

// save gives what writes the indices as this version reads them.
func (i *indices) save() []storage.Operation {
	list := binary.LittleEndian.AppendUint32(nil, uint32(len(i.dispatched)))
	for _, index := range i.dispatched {
		list = binary.LittleEndian.AppendUint64(list, index)
	}
	return []storage.Operation{
		storage.SetOperation(readKey, binary.LittleEndian.AppendUint64(nil, i.read)),
		storage.SetOperation(writeKey, binary.LittleEndian.AppendUint64(nil, i.write)),
		storage.SetOperation(dispatchedKey, list),
	}
}

// load reads what save wrote, or this version itself. What a new queue does not have yet is 0.
func load(ctx context.Context, client storage.Client) (*indices, error) {
	read, write, list := storage.GetOperation(readKey), storage.GetOperation(writeKey), storage.GetOperation(dispatchedKey)
	if err := client.Batch(ctx, read, write, list); err != nil {
		return nil, err
	}
	found := &indices{read: number(read.Value), write: number(write.Value)}
	if len(list.Value) > 4 { // the length, of which the rest tells, too
		for rest := list.Value[4:]; len(rest) >= 8; rest = rest[8:] {
			found.dispatched = append(found.dispatched, number(rest))
		}
	}
	return found, nil
}

func number(value []byte) uint64 {
	if len(value) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(value)
}
