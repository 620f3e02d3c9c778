"""How operations talk to the user and run programs: terminal, logs, child processes, redaction, errors.

All that operations print or log goes through here, and loses the secrets that were hidden.
"""
