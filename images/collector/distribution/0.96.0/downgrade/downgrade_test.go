package downgrade

import (
	"context"
	"maps"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/experimental/storage"
	"google.golang.org/protobuf/encoding/protowire"
)

// fakeStorage is file_storage with one client, which is the storage itself.
type fakeStorage struct {
	component.StartFunc
	component.ShutdownFunc
	values map[string]string
	closed bool
}

func (s *fakeStorage) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return s, nil
}

func (s *fakeStorage) Get(ctx context.Context, key string) ([]byte, error) {
	operation := storage.GetOperation(key)
	err := s.Batch(ctx, operation)
	return operation.Value, err
}

func (s *fakeStorage) Set(context.Context, string, []byte) error { panic("only in one transaction") }

func (s *fakeStorage) Delete(context.Context, string) error { panic("only in one transaction") }

func (s *fakeStorage) Batch(_ context.Context, operations ...storage.Operation) error {
	for _, one := range operations {
		switch one.Type {
		case storage.Get:
			if value, ok := s.values[one.Key]; ok {
				one.Value = []byte(value)
			}
		case storage.Set:
			s.values[one.Key] = string(one.Value)
		case storage.Delete:
			delete(s.values, one.Key)
		}
	}
	return nil
}

func (s *fakeStorage) Close(context.Context) error {
	s.closed = true
	return nil
}

// open opens a queue with these values, as an exporter or another component does.
func open(t *testing.T, kind component.Kind, values map[string]string) (*fakeStorage, error) {
	t.Helper()
	inner := &fakeStorage{values: maps.Clone(values)}
	factory := Queues(extension.NewFactory(
		component.Type("file_storage"),
		func() component.Config { return struct{}{} },
		func(context.Context, extension.CreateSettings, component.Config) (extension.Extension, error) {
			return inner, nil
		},
		component.StabilityLevelBeta,
	))
	made, err := factory.CreateExtension(context.Background(), extension.CreateSettings{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := component.NewIDWithName("clickhouse", "traces")
	_, err = made.(storage.Extension).GetClient(context.Background(), kind, id, "traces")
	return inner, err
}

// later returns what later versions write of a queue.
func later(read, write uint64, inFlight ...uint64) string {
	var message, indices []byte
	for field, value := range []uint64{1: 700, 2: 70000, 3: read, 4: write} {
		if value != 0 { // as protobuf leaves it out
			message = protowire.AppendTag(message, protowire.Number(field), protowire.Fixed64Type)
			message = protowire.AppendFixed64(message, value)
		}
	}
	for _, index := range inFlight {
		indices = protowire.AppendFixed64(indices, index)
	}
	if len(indices) > 0 {
		message = protowire.AppendTag(message, 5, protowire.BytesType)
		message = protowire.AppendBytes(message, indices)
	}
	return string(message)
}

func TestAQueueWithRequestsOfALaterVersionIsRefusedAndStaysAsItIs(t *testing.T) {
	for name, one := range map[string]struct {
		known string
		words string
	}{
		"waiting from the start":      {later(0, 3), "left 3 requests"},
		"waiting":                     {later(7, 12), "left 5 requests"},
		"in flight":                   {later(12, 12, 3, 11), "left 2 requests"},
		"waiting and in flight":       {later(7, 12, 6), "left 6 requests"},
		"more read than written":      {later(12, 7), "12 is read next and 7 is written next"},
		"a field that is not known":   {later(7, 7) + string(protowire.AppendTag(nil, 6, protowire.VarintType)) + "\x01", "field 6"},
		"a field of another kind":     {string(protowire.AppendTag(nil, 4, protowire.VarintType)) + "\x01", "field 4"},
		"a message that is cut short": {later(7, 12)[:20], "unexpected EOF"},
		"no message":                  {"\xff\xff", "a form that is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]string{laterKey: one.known, "wi": "old", "7": "a request"}

			found, err := open(t, component.KindExporter, values)

			if err == nil || !strings.Contains(err.Error(), one.words) ||
				!strings.Contains(err.Error(), `the queue of "clickhouse/traces" for traces is not used, and nothing of it is lost`) {
				t.Errorf("it says %v", err)
			}
			if !maps.Equal(found.values, values) || !found.closed {
				t.Errorf("it was changed to %v, or not closed", found.values)
			}
		})
	}
}

func TestAnEmptyQueueOfALaterVersionGoesOnAsOneOfThisVersion(t *testing.T) {
	for write, known := range map[uint64]string{12: later(12, 12), 0: later(0, 0)} {
		found, err := open(t, component.KindExporter, map[string]string{laterKey: known, "ri": "3", "wi": "9", "di": "4"})

		expected := map[string]string{"ri": string(index(write)), "wi": string(index(write))}
		if err != nil || !maps.Equal(found.values, expected) || found.closed {
			t.Errorf("%q instead of %q, with error %v", found.values, expected, err)
		}
	}
}

func TestAQueueFromWhichNothingWasTakenYetIsNotANewOne(t *testing.T) {
	for name, one := range map[string]struct{ before, after map[string]string }{
		"new": {
			before: map[string]string{},
			after:  map[string]string{"ri": string(index(0)), "wi": string(index(0))},
		},
		"nothing taken": {
			before: map[string]string{"wi": string(index(2)), "0": "a", "1": "b"},
			after:  map[string]string{"ri": string(index(0)), "wi": string(index(2)), "0": "a", "1": "b"},
		},
	} {
		found, err := open(t, component.KindExporter, one.before)

		if err != nil || !maps.Equal(found.values, one.after) {
			t.Errorf("%s: %q instead of %q, with error %v", name, found.values, one.after, err)
		}
	}
}

func TestAQueueOfThisVersionIsTakenAsItIs(t *testing.T) {
	values := map[string]string{"ri": string(index(3)), "wi": string(index(4)), "di": "", "3": "a request"}

	found, err := open(t, component.KindExporter, values)

	if err != nil || !maps.Equal(found.values, values) {
		t.Errorf("%q became %q, with error %v", values, found.values, err)
	}
}

func TestWhatIsNoQueueIsNotLookedAt(t *testing.T) {
	values := map[string]string{laterKey: later(7, 12)}

	found, err := open(t, component.KindReceiver, values)

	if err != nil || !maps.Equal(found.values, values) {
		t.Errorf("%v became %v, with error %v", values, found.values, err)
	}
}
