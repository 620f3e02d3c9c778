"""The platform's parts, one Pulumi component resource per file, and `platform` that composes them."""
