"""The command line of `python -m operations`: parses arguments, calls verbs, reports errors."""
