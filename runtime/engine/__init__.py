"""A Docker engine as runtime: one container per service, a volume per file bundle, hooks around their creation."""

from runtime.engine.runtime import EngineRuntime

__all__ = ["EngineRuntime"]
