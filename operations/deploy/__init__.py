"""The stages of `make up`: preflight, readiness, telemetry probe, summary."""
