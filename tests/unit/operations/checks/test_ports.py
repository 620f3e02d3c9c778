"""Who holds a port: free, our own stack, another container, another process. With real sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from operations.checks.ports import Finding, PortState, WantedPort, check, overlap
from operations.engine.protocol import Published
from testbed.fake_engine import container

pytestmark = pytest.mark.unit


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens on a port of this process."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def _port(of: socket.socket) -> int:
    return int(of.getsockname()[1])


def _wanted(port: int, address: str = "127.0.0.1") -> WantedPort:
    return WantedPort(key="apiPort", address=address, port=port)


def _only(wanted: WantedPort, *containers: object, local: bool = True) -> Finding:
    (finding,) = check("dev", [wanted], containers, local=local)  # type: ignore[arg-type]
    return finding


def test_a_port_that_nobody_holds_is_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = _port(taken)
    assert _only(_wanted(port)).state is PortState.FREE


def test_a_port_of_another_process_is_taken_and_the_process_is_named(listener: socket.socket) -> None:
    finding = _only(_wanted(_port(listener)))
    assert finding.state is PortState.TAKEN
    assert f"process {os.getpid()} (" in finding.holder
    assert "pulumi config set apiPort " in " ".join(finding.fix)


def test_a_listener_on_all_addresses_takes_the_port_on_one(listener: socket.socket) -> None:
    assert _only(_wanted(_port(listener), "0.0.0.0")).state is PortState.TAKEN  # noqa: S104


def test_a_connection_that_lingers_after_its_end_does_not_take_the_port() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = _port(server)
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            accepted.close()
    assert _only(_wanted(port)).state is PortState.FREE


def test_a_port_of_our_own_stack_is_not_taken(listener: socket.socket) -> None:
    port = _port(listener)
    own = container(published=(Published(address="127.0.0.1", port=port, internal=8080),))
    assert _only(_wanted(port), own).state is PortState.OURS


def test_a_port_of_another_stack_is_taken_and_the_container_is_named() -> None:
    other = container(
        "letta-test-nginx", stack="test", published=(Published(address="127.0.0.1", port=8283, internal=8080),)
    )
    finding = _only(_wanted(8283), other)
    assert (finding.state, finding.holder) == (PortState.TAKEN, "container letta-test-nginx")


def test_an_address_of_another_machine_cannot_be_used() -> None:
    finding = _only(_wanted(8283, "192.0.2.1"))
    assert finding.state is PortState.UNUSABLE
    assert "192.0.2.1 is not an address of this machine" in finding.holder
    assert "bindAddress" in finding.fix[0]


def test_sockets_of_this_machine_say_nothing_about_an_engine_elsewhere(listener: socket.socket) -> None:
    assert _only(_wanted(_port(listener)), local=False).state is PortState.FREE


def test_addresses_overlap_when_one_of_them_is_every_address() -> None:
    assert overlap("0.0.0.0", "127.0.0.1")  # noqa: S104
    assert overlap("127.0.0.1", "::")
    assert not overlap("127.0.0.1", "127.0.0.2")
