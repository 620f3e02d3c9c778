"""Counts what happens to numbered signals while a collector or its backends fail.

A scenario (`scenarios`, `queue_scenarios`, `version_scenarios`) runs on a rig (`rig`): a collector process with
the configuration that `otel` composes for a profile, between a sender (`sender`) that knows what was acknowledged
and backends (`backends`) that report what they have. `accounts.Account` compares the two; a `cases.Case` is a
scenario with its rig.
"""
