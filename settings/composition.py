"""What a stack with these settings consists of: how often each service runs, and what it uses of the machine."""

from __future__ import annotations

from collections.abc import Mapping

import catalogue
from settings import telemetry
from settings.model import Settings
from settings.schema import fields


def replicas(settings: Settings) -> Mapping[str, int]:
    """Return how many containers run of each service, by the service's name."""
    numbers = {
        service.name: settings.value(service.replicas) if service.replicas else 1
        for service in catalogue.services(settings.services)
    }
    if catalogue.COLLECTOR.name in numbers:
        numbers[catalogue.COLLECTOR.name] = telemetry.collector_replicas(settings)
    return numbers


def memory_limits(settings: Settings) -> Mapping[str, int]:
    """Return the memory in MiB that all containers of a service may take together, by the service's name."""
    numbers = replicas(settings)
    return {
        service.name: numbers[service.name] * int(settings.value(service.memory))
        for service in catalogue.services(settings.services)
    }


def cpu_limits(settings: Settings) -> Mapping[str, float]:
    """Return the CPUs that one container of a service may take, by key, for what runs and has a limit."""
    keys = (service.cpus for service in catalogue.services(settings.services) if service.cpus in fields())
    return {key: float(settings.value(key)) for key in keys if settings.value(key) is not None}


def published_ports(settings: Settings) -> Mapping[str, int]:
    """Return the ports that the stack publishes at `bind_address`, by key, in the order of the model."""
    published = catalogue.published_ports(settings.services)
    return {key: int(settings.value(key)) for key in fields() if key in published}
