"""What an operator runs: `python -m operations <verb>`.

Nothing here creates infrastructure; the Pulumi program does. Operations prepare the machine for `pulumi up`, run
and watch it, and report what is wrong and what to do.

Each folder is a room, and imports only from the rooms below it: cli, verbs, deploy and host_collector, checks,
telemetry, stack, engine, console.
"""
