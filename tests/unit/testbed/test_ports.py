"""Free ports for test stacks."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from testbed import ports

pytestmark = pytest.mark.unit


def test_ports_are_different_free_and_below_the_kernels_own_range() -> None:
    with ports.reserved(5) as found:
        assert len(set(found)) == 5
        assert all(ports.FIRST <= port <= ports.LAST and ports.is_free(port) for port in found)


def test_a_reserved_port_is_not_handed_out_again_until_it_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "LAST", ports.FIRST + 9)
    with ports.reserved(4, directory=tmp_path) as mine:
        with ports.reserved(4, directory=tmp_path) as others:
            assert not set(mine) & set(others)
        with pytest.raises(RuntimeError, match="no 9 free ports between"), ports.reserved(9, directory=tmp_path):
            pass
    with ports.reserved(4, directory=tmp_path) as again:
        assert again == mine


@pytest.mark.parametrize("address", ["127.0.0.1", ""], ids=["loopback", "all addresses"])
def test_a_port_in_use_is_skipped(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(ports, "FIRST", port)
        monkeypatch.setattr(ports, "LAST", port)

        assert not ports.is_free(port)
        with pytest.raises(RuntimeError), ports.reserved(1, directory=tmp_path):
            pass
