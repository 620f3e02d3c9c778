"""Prometheus tooling: promtool, and timelines that check alert rules with it."""
