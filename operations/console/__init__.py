"""Output to people, child processes, redaction of secrets, and the error type of operations."""
