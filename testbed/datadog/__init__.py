"""A stand-in for Datadog: an intake that checks and decodes what it is sent."""
