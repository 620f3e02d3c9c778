"""Readers of telemetry: the collector's metrics, recorded traces and other files in volumes, ClickHouse."""
