"""Counts what becomes of numbered signals while something goes wrong with a collector or its backends.

A story (`stories`) is told on a rig (`rig`): a collector as a process with the configuration that `otel` composes
for a profile, between a sender that knows what was acknowledged and backends (`backends`) that are asked what they
have. `accounts.Account` compares the two.
"""
