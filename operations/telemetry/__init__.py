"""Readers of telemetry: the collector's metrics, recorded traces, ClickHouse."""
