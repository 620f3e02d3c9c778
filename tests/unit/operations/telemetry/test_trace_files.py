"""Reading files in a stack's volumes."""

from __future__ import annotations

import pytest

from operations.telemetry.trace_files import VolumeFile, lines
from testbed.fake_engine import Chunks, FakeEngine

pytestmark = pytest.mark.unit


def test_lines_are_put_together_from_chunks_that_break_anywhere() -> None:
    text = 'ä{"a": 1}\n{"b": 2}\nrest'.encode()
    assert list(lines([text[:1], text[1:7], text[7:]])) == ['ä{"a": 1}', '{"b": 2}', "rest"]


@pytest.mark.parametrize(
    ("follow", "command"),
    [
        (False, ("tail", "-n", "5", "/volume/traces.json")),
        (True, ("tail", "-n", "5", "-F", "/volume/traces.json")),
    ],
)
def test_the_end_of_a_file_is_read_and_followed_on_request(follow: bool, command: tuple[str, ...]) -> None:
    engine = FakeEngine(outputs=[Chunks([b"a"])])
    file = VolumeFile(engine=engine, image="x", stack="dev", volume="letta-dev-traces", path="traces.json")
    assert list(file.tail(5, follow=follow)) == [b"a"]
    assert engine.commands == [command]
