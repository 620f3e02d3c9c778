"""What tests and benchmarks share.

- Stand-ins: `llm`, `clickhouse`, `datadog`, `connect_proxy` and `forwarder` that lead to them.
- Telemetry: `otlp` (a generator of counted signals), `collector` (as a process), `grafana`, `prometheus`.
- Faults: `losses` (what is lost when something fails), `small_disk`.
- Secrets: `canary`, `certificates`.
- Deployments: `deployment`, `checkout`, `containers`, `agents`, `polling`, `ports`.

It imports neither tests nor benchmarks.
"""
