"""One stack of this checkout: its file, state, secrets, and the Pulumi CLI for it."""
