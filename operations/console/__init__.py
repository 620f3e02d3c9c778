"""How operations talk to people and run programs: the terminal, logs, child processes, redaction, and their error.

The one exit: whatever operations print or log goes through here, without the secrets that were hidden.
"""
