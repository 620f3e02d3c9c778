"""The platform's parts, one Pulumi component resource per file, and `platform`, which composes them."""
