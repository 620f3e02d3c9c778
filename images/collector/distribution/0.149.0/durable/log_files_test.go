package durable

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/xreceiver"
)

// logFiles is a receiver of log files: what it hands lines on to, and where it saves its offsets.
type logFiles struct {
	component.StartFunc
	component.ShutdownFunc
	next    consumer.Logs
	offsets storage.Client
	answer  error // of what it hands lines on to
}

// newLogFiles makes a receiver with the name that it has now or had before; its offsets are below the old one.
func newLogFiles(t *testing.T, name string) (*logFiles, *fakeClient) {
	t.Helper()
	made := &logFiles{}
	factory := LogFiles(xreceiver.NewFactory(
		component.MustNewType("file_log"),
		func() component.Config { return struct{}{} },
		xreceiver.WithDeprecatedTypeAlias(component.MustNewType("filelog")),
		xreceiver.WithLogs(func(
			_ context.Context, _ receiver.Settings, _ component.Config, next consumer.Logs,
		) (receiver.Logs, error) {
			made.next = next
			return made, nil
		}, component.StabilityLevelStable),
	))
	next, err := consumer.NewLogs(func(context.Context, plog.Logs) error { return made.answer })
	if err != nil {
		t.Fatal(err)
	}
	settings := receiver.Settings{
		ID: component.NewIDWithName(component.MustNewType(name), t.Name()), TelemetrySettings: telemetry(),
	}
	if _, err := factory.CreateLogs(t.Context(), settings, nil, next); err != nil {
		t.Fatal(err)
	}
	disk, volume := newFakeDisk(t, 256*mebibyte)
	client := &fakeClient{volume: volume, values: map[string]string{"offset": "before"}}
	extension := &durableStorage{Extension: &fakeStorage{client: client}, disk: disk}
	made.offsets, err = extension.GetClient(
		t.Context(), component.KindReceiver, component.NewIDWithName(component.MustNewType("filelog"), t.Name()), "")
	if err != nil {
		t.Fatal(err)
	}
	return made, client
}

func (l *logFiles) handOn(t *testing.T, lines plog.Logs, answer error) {
	t.Helper()
	l.answer = answer
	_ = l.next.ConsumeLogs(t.Context(), lines)
}

func (l *logFiles) save(t *testing.T) error {
	t.Helper()
	alone := l.offsets.Set(t.Context(), "offset", []byte("after"))
	together := l.offsets.Batch(t.Context(), set("offset", "after"))
	expect(t, "both ways to save", together, alone)
	return alone
}

func TestOffsetsAreSavedOnlyWhileNoLinesWaitToBeTriedAgain(t *testing.T) {
	refused, permanent := errors.New("the queue is full"), consumererror.NewPermanent(errors.New("too large"))
	first, second := plog.NewLogs(), plog.NewLogs()
	part := plog.NewLogs()
	for name, one := range map[string]struct {
		lines  []plog.Logs
		answer []error
		saved  bool
	}{
		"nothing read":            {saved: true},
		"accepted":                {lines: []plog.Logs{first}, answer: []error{nil}, saved: true},
		"refused":                 {lines: []plog.Logs{first}, answer: []error{refused}, saved: false},
		"refused again":           {lines: []plog.Logs{first, first}, answer: []error{refused, refused}, saved: false},
		"accepted in the end":     {lines: []plog.Logs{first, first}, answer: []error{refused, nil}, saved: true},
		"one of two refused":      {lines: []plog.Logs{first, second}, answer: []error{refused, nil}, saved: false},
		"refused for good":        {lines: []plog.Logs{first}, answer: []error{permanent}, saved: true},
		"refused for good later":  {lines: []plog.Logs{first, first}, answer: []error{refused, permanent}, saved: true},
		"a part refused":          {lines: []plog.Logs{first}, answer: []error{consumererror.NewLogs(refused, part)}},
		"a part accepted at last": {lines: []plog.Logs{first, part}, answer: []error{consumererror.NewLogs(refused, part), nil}, saved: true},
	} {
		t.Run(name, func(t *testing.T) {
			receiver, client := newLogFiles(t, "file_log")

			for index, lines := range one.lines {
				receiver.handOn(t, lines, one.answer[index])
			}

			expect(t, "saved", receiver.save(t) == nil, one.saved)
			expect(t, "the offset is new", client.values["offset"] == "after", one.saved)
		})
	}
}

func TestOffsetsCanBeReadWhileLinesWait(t *testing.T) {
	receiver, _ := newLogFiles(t, "file_log")
	receiver.handOn(t, plog.NewLogs(), errors.New("the queue is full"))

	found, err := receiver.offsets.Get(t.Context(), "offset")

	expect(t, "error", err, nil)
	expect(t, "offset", string(found), "before")
}

func TestAReceiverUnderItsOldNameHasTheSameOffsets(t *testing.T) {
	receiver, _ := newLogFiles(t, "filelog")
	receiver.handOn(t, plog.NewLogs(), errors.New("the queue is full"))

	expect(t, "saved", receiver.save(t) == nil, false)
}

func TestAReceiverIsNotHeldUpByLinesOfAnother(t *testing.T) {
	receiver, _ := newLogFiles(t, "file_log")
	pending.record(component.MustNewIDWithName("filelog", "other"), plog.NewLogs(), errors.New("the queue is full"))

	expect(t, "error", receiver.save(t), nil)
}

func TestAReceiverThatIsMadeAnewForgetsWhatTheOneBeforeWasRefused(t *testing.T) {
	before, _ := newLogFiles(t, "file_log")
	before.handOn(t, plog.NewLogs(), errors.New("the queue is full"))

	after, _ := newLogFiles(t, "file_log")

	expect(t, "error", after.save(t), nil)
}
