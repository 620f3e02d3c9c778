"""What an operator runs: `python -m operations <verb>`, one module per verb or topic.

Nothing here creates infrastructure of its own; that is the Pulumi program's. This package brings the machine to
the point where `pulumi up` works, runs it, watches it, and says in plain words what is wrong and what to do.
"""
