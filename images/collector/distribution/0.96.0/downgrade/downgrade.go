// Package downgrade keeps this version from losing what a later version has left in a queue.
//
// Later versions keep what they know of a queue under another key, and requests in another form. This version would take
// such a queue for a new one and overwrite its requests. docs/adr/0018 says why it refuses the queue instead of reading it.
package downgrade

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/experimental/storage"
	"google.golang.org/protobuf/encoding/protowire"
)

// laterKey is where later versions keep all that they know of a queue, in one message.
const laterKey = "qmv0"

// The keys of what this version knows of a queue: the indices that are read and written next, and those in flight.
const (
	readKey     = "ri"
	writeKey    = "wi"
	inFlightKey = "di"
)

// Queues wraps file_storage so that an exporter does not start on a queue in which a later version has left requests.
// An empty queue of a later version becomes an empty one of this version.
func Queues(factory extension.Factory) extension.Factory {
	return extension.NewFactory(
		factory.Type(),
		factory.CreateDefaultConfig,
		func(ctx context.Context, set extension.CreateSettings, config component.Config) (extension.Extension, error) {
			made, err := factory.CreateExtension(ctx, set, config)
			if err != nil {
				return nil, err
			}
			return &downgradeQueues{made.(storage.Extension)}, nil
		},
		factory.ExtensionStability(),
	)
}

// downgradeQueues is file_storage as exporters and receivers see it.
type downgradeQueues struct {
	storage.Extension
}

func (q *downgradeQueues) GetClient(
	ctx context.Context, kind component.Kind, id component.ID, name string,
) (storage.Client, error) {
	client, err := q.Extension.GetClient(ctx, kind, id, name)
	if err != nil || kind != component.KindExporter { // others have no queue
		return client, err
	}
	if err = takeOver(ctx, client); err != nil {
		err = fmt.Errorf("the queue of %q for %s is not used, and nothing of it is lost: %w; set the collector's version back "+
			"until its metric otelcol_exporter_queue_size is 0, or move the queue's file away to give up what is in it",
			id, name, err)
		return nil, errors.Join(err, client.Close(ctx))
	}
	return client, nil
}

// takeOver makes an empty queue of a later version one of this version, and returns an error for one that is not empty.
func takeOver(ctx context.Context, client storage.Client) error {
	message, err := client.Get(ctx, laterKey)
	if err != nil {
		return err
	}
	if len(message) == 0 {
		return complete(ctx, client)
	}
	found, err := read(message)
	if err != nil {
		return fmt.Errorf("a later version has written it in a form that is not known: %w", err)
	}
	if waiting := found.write - found.read + found.inFlight; waiting > 0 {
		return fmt.Errorf("a later version has left %d requests in it, which this version cannot read", waiting)
	}
	return client.Batch(ctx,
		storage.SetOperation(readKey, index(found.write)),
		storage.SetOperation(writeKey, index(found.write)),
		storage.DeleteOperation(inFlightKey),
		// The later version would believe it, and not look for what this version writes.
		storage.DeleteOperation(laterKey))
}

// complete adds what this version itself writes only when it takes the first request out of a queue. A queue without it
// counts as new for all versions: requests that were added before the collector ended would be lost.
func complete(ctx context.Context, client storage.Client) error {
	read, write := storage.GetOperation(readKey), storage.GetOperation(writeKey)
	if err := client.Batch(ctx, read, write); err != nil || read.Value != nil {
		return err
	}
	operations := []storage.Operation{storage.SetOperation(readKey, index(0))}
	if write.Value == nil {
		operations = append(operations, storage.SetOperation(writeKey, index(0)))
	}
	return client.Batch(ctx, operations...)
}

func index(value uint64) []byte {
	return binary.LittleEndian.AppendUint64(nil, value)
}

// laterQueue is what a later version knows of a queue: the indices that are read and written next, and how many requests
// were in flight.
type laterQueue struct {
	read, write, inFlight uint64
}

// read reads it: fields 3 and 4 are indices, 5 is a list of them, 1 and 2 are the size in items and bytes.
func read(message []byte) (found laterQueue, err error) {
	for len(message) > 0 {
		field, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return found, protowire.ParseError(length)
		}
		message = message[length:]
		length = protowire.ConsumeFieldValue(field, kind, message)
		if length < 0 {
			return found, protowire.ParseError(length)
		}
		value := message[:length]
		message = message[length:]
		switch {
		case field == 3 && kind == protowire.Fixed64Type:
			found.read = binary.LittleEndian.Uint64(value)
		case field == 4 && kind == protowire.Fixed64Type:
			found.write = binary.LittleEndian.Uint64(value)
		case field == 5 && kind == protowire.BytesType:
			indices, _ := protowire.ConsumeBytes(value)
			found.inFlight += uint64(len(indices)+7) / 8
		case field > 2:
			return found, fmt.Errorf("field %d of %s", field, laterKey)
		}
	}
	if found.read > found.write {
		return found, fmt.Errorf("%s says that %d is read next and %d is written next", laterKey, found.read, found.write)
	}
	return found, nil
}
