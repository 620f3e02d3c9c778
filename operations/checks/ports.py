"""Who holds the ports that a program wants to listen on.

A port held by the same stack is free for it: the provider replaces its own containers.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from operations.engine.protocol import Container, Published

_FIRST_UNPRIVILEGED = 1024


class PortState(StrEnum):
    """Whether a port can be used."""

    FREE = "free"
    OURS = "ours"
    """Published by the stack itself."""
    TAKEN = "taken"
    UNUSABLE = "unusable"
    """Cannot be bound whoever holds it: the address is not this machine's, or rights are missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedPort:
    """A port, and the setting or option that chooses it."""

    key: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A wanted port, and whether it can be used."""

    stack: str
    wanted: WantedPort
    state: PortState
    holder: str = ""
    """Container, process, or the reason why it is unusable."""

    @property
    def fix(self) -> tuple[str, ...]:
        """What to do about it."""
        key, port = self.wanted.key, self.wanted.port
        other = port + 10000 if port <= 55535 else port - 10000
        if self.state is PortState.UNUSABLE:
            address = f"`pulumi config set bindAddress 127.0.0.1 --stack {self.stack}`"
            return (f"choose another address or port: {address}",)
        if self.state is PortState.TAKEN:
            command = f"`pulumi config set {key} {other} --stack {self.stack}`"
            # Before the first `make up` there may be no `pulumi` yet; the file can always be edited.
            line = f"`letta:{key}: {other}` below `config:` in Pulumi.{self.stack}.yaml"
            return (f"stop {self.holder}", f"or choose another port: {command}, or write {line}")
        return ()


def overlap(one: str, other: str) -> bool:
    """Whether a port bound at one address prevents binding the same port at the other."""
    everywhere = {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    return one in everywhere or other in everywhere or one == other


def _container_at(wanted: WantedPort, containers: Collection[Container]) -> tuple[Container, Published] | None:
    for container in containers:
        for published in container.published:
            if published.port == wanted.port and overlap(published.address, wanted.address):
                return container, published
    return None


def bind_error(address: str, port: int) -> OSError | None:
    """Return why a port cannot be bound; None when it can. Nothing listens, so no client can connect meanwhile."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return OSError(errno.EADDRNOTAVAIL, "not an IP address")
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # A connection in TIME_WAIT is no reason to refuse; a listener still is one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error
    return None


def process_at(address: str, port: int) -> str:
    """Return the process that listens there, in words; without the rights to see it, how to find it."""
    import psutil

    hidden = f"a process (to see which: `sudo lsof -nP -iTCP:{port} -sTCP:LISTEN`)"
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, OSError):
        return hidden
    listening = [
        one
        for one in connections
        if one.status == psutil.CONN_LISTEN
        and one.laddr
        and one.laddr.port == port
        and overlap(one.laddr.ip, address)
    ]
    for connection in listening:
        if connection.pid is None:
            continue
        try:
            return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
        except psutil.Error:
            continue
    return hidden


def check(
    stack: str, wanted: Collection[WantedPort], containers: Collection[Container], *, local: bool = True
) -> tuple[Finding, ...]:
    """Return who holds each port.

    Args:
        stack: the stack whose own containers may hold them.
        wanted: the ports.
        containers: all containers of the engine.
        local: whether the engine publishes on this machine; if not, only its containers are considered.
    """
    return tuple(_check_one(stack, one, containers, local) for one in wanted)


def _check_one(stack: str, wanted: WantedPort, containers: Collection[Container], local: bool) -> Finding:
    held = _container_at(wanted, containers)
    if held:
        state = PortState.OURS if held[0].stack == stack else PortState.TAKEN
        return Finding(stack=stack, wanted=wanted, state=state, holder=f"container {held[0].name}")
    error = bind_error(wanted.address, wanted.port) if local else None
    # The engine's daemon usually runs as root: that this process may not bind says nothing about it.
    reserved = wanted.port < _FIRST_UNPRIVILEGED and os.geteuid() != 0
    if error is None or (reserved and error.errno in {errno.EACCES, errno.EPERM}):
        return Finding(stack=stack, wanted=wanted, state=PortState.FREE)
    if error.errno == errno.EADDRINUSE:
        holder = process_at(wanted.address, wanted.port)
        return Finding(stack=stack, wanted=wanted, state=PortState.TAKEN, holder=holder)
    reason = error.strerror or str(error)
    if error.errno == errno.EADDRNOTAVAIL:
        reason = f"{wanted.address} is not an address of this machine"
    return Finding(stack=stack, wanted=wanted, state=PortState.UNUSABLE, holder=reason)
