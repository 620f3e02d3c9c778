"""Stand-ins (an LLM, ClickHouse, Datadog), a counted OTLP generator, a collector process, canaries, free ports."""
