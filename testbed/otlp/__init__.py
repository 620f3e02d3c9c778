"""OTLP: a generator of counted telemetry, telemetry as Letta sends it, and a reader of exported files."""
