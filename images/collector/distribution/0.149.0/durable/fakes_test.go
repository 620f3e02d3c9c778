package durable

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
)

// fakeVolume is a file system whose size tests choose. Its files are real but occupy nothing.
type fakeVolume struct {
	directory string
	mutex     sync.Mutex
	size      int64
	others    int64 // bytes that something else occupies
}

func (v *fakeVolume) available() int64 {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	free := v.size - v.others
	files, _ := os.ReadDir(v.directory)
	for _, file := range files {
		if found, err := file.Info(); err == nil {
			free -= found.Size()
		}
	}
	return max(free, 0)
}

// leave lets something else occupy everything but so many bytes.
func (v *fakeVolume) leave(bytes int64) {
	free := v.available()
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.others += free - bytes
}

func (v *fakeVolume) occupy(path string, size int64) error {
	before := int64(0)
	if found, err := os.Stat(path); err == nil {
		before = found.Size()
	}
	given := min(size, before+v.available())
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(path, given); err != nil {
		return err
	}
	if given < size {
		return errNoSpace
	}
	return nil
}

// errNoSpace is a full disk as some libraries report it: as text.
var errNoSpace = errors.New("write queue: no space left on device")

// fakeClient is the file of a queue. A transaction that writes needs room for a moment, as one of bbolt's does.
type fakeClient struct {
	volume *fakeVolume
	needs  int64 // bytes of room that a transaction needs
	fails  error

	mutex  sync.Mutex
	values map[string]string
	states []map[string]string // values after each transaction that wrote
	tried  int                 // transactions that would write, including those that failed
}

func (c *fakeClient) Get(ctx context.Context, key string) ([]byte, error) {
	operation := storage.GetOperation(key)
	err := c.Batch(ctx, operation)
	return operation.Value, err
}

func (c *fakeClient) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c *fakeClient) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

func (c *fakeClient) Close(context.Context) error { return nil }

func (c *fakeClient) Batch(_ context.Context, operations ...*storage.Operation) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	writes := slices.ContainsFunc(operations, func(one *storage.Operation) bool { return one.Type != storage.Get })
	if writes {
		c.tried++
		if c.fails != nil {
			return c.fails
		}
		if c.volume.available() < c.needs {
			return errNoSpace
		}
	}
	for _, one := range operations {
		switch one.Type {
		case storage.Get:
			one.Value = nil
			if value, ok := c.values[one.Key]; ok {
				one.Value = []byte(value)
			}
		case storage.Set:
			c.values[one.Key] = string(one.Value)
		case storage.Delete:
			delete(c.values, one.Key)
		}
	}
	if writes {
		c.states = append(c.states, maps.Clone(c.values))
	}
	return nil
}

func (c *fakeClient) copy() map[string]string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return maps.Clone(c.values)
}

// count returns how many requests a state has.
func count(state map[string]string) (number int) {
	for key := range state {
		if isRequest(key) {
			number++
		}
	}
	return number
}

// requests returns what a state has below indices, in order.
func requests(state map[string]string) string {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if isRequest(key) {
			found = append(found, key+"="+state[key])
		}
	}
	return strings.Join(found, " ")
}

// fakeStorage is file_storage with one client for all.
type fakeStorage struct {
	component.StartFunc
	component.ShutdownFunc
	client storage.Client
}

func (s *fakeStorage) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return s.client, nil
}

type fakeHost map[component.ID]component.Component

func (h fakeHost) GetExtensions() map[component.ID]component.Component { return h }

func telemetry() component.TelemetrySettings {
	return component.TelemetrySettings{Logger: zap.NewNop(), MeterProvider: noop.NewMeterProvider()}
}

// newFakeDisk returns a disk of so many bytes that nothing uses.
func newFakeDisk(t *testing.T, size int64) (*disk, *fakeVolume) {
	t.Helper()
	volume := &fakeVolume{directory: t.TempDir(), size: size}
	made := newDisk(filepath.Join(volume.directory, "reserve"), telemetry())
	made.available, made.occupy = volume.available, volume.occupy
	return made, volume
}

// newFakeQueue returns a queue on a disk of 256 MiB with its reserve, and what is behind the queue.
func newFakeQueue(t *testing.T, values map[string]string) (*queue, *fakeClient, *fakeVolume) {
	t.Helper()
	disk, volume := newFakeDisk(t, 256*mebibyte)
	disk.fillReserve()
	client := &fakeClient{volume: volume, needs: mebibyte, values: values}
	return &queue{Client: client, disk: disk}, client, volume
}

func set(key, value string) *storage.Operation { return storage.SetOperation(key, []byte(value)) }

func batch(t *testing.T, client storage.Client, operations ...*storage.Operation) {
	t.Helper()
	if err := client.Batch(t.Context(), operations...); err != nil {
		t.Fatal(err)
	}
}

func expect[T comparable](t *testing.T, what string, found, expected T) {
	t.Helper()
	if found != expected {
		t.Errorf("%s: %v instead of %v", what, found, expected)
	}
}
