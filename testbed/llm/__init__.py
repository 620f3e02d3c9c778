"""A stand-in for an LLM: an OpenAI-compatible server whose replies are scripted."""
