package main

import (
	"bytes"
	"context"
	"fmt"

	"go.opentelemetry.io/collector/extension/experimental/storage"
	"google.golang.org/protobuf/encoding/protowire"
)

// laterKey is where later versions keep all that they know of a queue, in one message.
const laterKey = "qmv0"

// laterIndices reads that message. Of its fields 3 is read, 4 write, and 5 dispatched; sizes are not needed.
func laterIndices(message []byte) (*indices, error) {
	found := &indices{}
	err := fields(message, func(field protowire.Number, kind protowire.Type, value []byte) error {
		switch {
		case field == 3 && kind == protowire.Fixed64Type:
			found.read = number(value)
		case field == 4 && kind == protowire.Fixed64Type:
			found.write = number(value)
		case field == 5 && kind == protowire.BytesType:
			for ; len(value) >= 8; value = value[8:] {
				found.dispatched = append(found.dispatched, number(value))
			}
		case field > 2:
			return fmt.Errorf("%s has field %d in a form that is not known", laterKey, field)
		}
		return nil
	})
	if err == nil && found.read > found.write {
		err = fmt.Errorf("%s says that %d is read next and %d is written next", laterKey, found.read, found.write)
	}
	return found, err
}

// laterClient gives requests as this version writes them, whichever version wrote them.
type laterClient struct {
	storage.Client
}

func (c *laterClient) Get(ctx context.Context, key string) ([]byte, error) {
	operation := storage.GetOperation(key)
	err := c.Batch(ctx, operation)
	return operation.Value, err
}

func (c *laterClient) Batch(ctx context.Context, operations ...storage.Operation) error {
	if err := c.Client.Batch(ctx, operations...); err != nil {
		return err
	}
	for _, one := range operations {
		if one.Type == storage.Get && one.Key[0] <= '9' { // an index
			one.Value = unwrapped(one.Value)
		}
	}
	return nil
}

// laterRequest is how a request of later versions starts: field 1, which is 1 in four bytes. Field 2 says who sent it,
// and field 3 is what this version has alone, which starts otherwise.
var laterRequest = []byte{1<<3 | byte(protowire.Fixed32Type), 1, 0, 0, 0}

func isLater(request []byte) bool {
	return bytes.HasPrefix(request, laterRequest)
}

func unwrapped(request []byte) []byte {
	if !isLater(request) {
		return request
	}
	var signals []byte
	err := fields(request, func(field protowire.Number, kind protowire.Type, value []byte) error {
		if field == 3 && kind == protowire.BytesType {
			signals = value
		}
		return nil
	})
	if err != nil {
		return request // which says itself that it is damaged
	}
	return signals
}

// fields reads a message's fields one by one; a value with a length comes without it.
func fields(message []byte, read func(field protowire.Number, kind protowire.Type, value []byte) error) error {
	for len(message) > 0 {
		field, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return protowire.ParseError(length)
		}
		message = message[length:]
		length = protowire.ConsumeFieldValue(field, kind, message)
		if length < 0 {
			return protowire.ParseError(length)
		}
		value := message[:length]
		message = message[length:]
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		if err := read(field, kind, value); err != nil {
			return err
		}
	}
	return nil
}
