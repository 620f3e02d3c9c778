// Package durable keeps what the collector has acknowledged while the disk of its queues is full, and while it is
// stopped: Storage wraps file_storage, Exporter the exporters whose queues are in it, and LogFiles the receiver of log
// files whose offsets are in it. docs/adr/0017 says why. It relies on the keys and on the order of writes of the
// exporters' persistent queue in the version that go.mod pins.
package durable
