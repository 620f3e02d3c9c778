"""A checkout knows its project and the files of its stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.console.errors import OperationError
from operations.stack.checkout import Checkout

pytestmark = pytest.mark.unit


def _checkout(folder: Path, stack_file: str = "") -> Checkout:
    (folder / "Pulumi.yaml").write_text("name: platform\n")
    (folder / "Pulumi.dev.yaml").write_text(stack_file)
    return Checkout(folder)


def test_the_name_of_the_project_is_that_of_its_file(tmp_path: Path) -> None:
    assert _checkout(tmp_path).project == "platform"
    with pytest.raises(OperationError, match="no Pulumi project here"):
        _ = Checkout(tmp_path / "elsewhere").project


@pytest.mark.parametrize("content", ["name: {", "- name", "", "runtime: python\n"])
def test_an_invalid_project_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(content)
    with pytest.raises(OperationError, match="cannot be read") as raised:
        _ = Checkout(tmp_path).project
    assert raised.value.where == str(tmp_path / "Pulumi.yaml")


def test_the_file_of_a_stack_is_found_by_its_name(tmp_path: Path) -> None:
    checkout = _checkout(tmp_path, "config:\n  letta:apiPort: 9000\n")
    assert checkout.stack_file("dev").config == {"letta:apiPort": "9000"}
    assert not checkout.stack_file("other").exists


def test_a_stack_file_that_is_no_yaml_is_named_with_its_line_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(OperationError) as raised:
        _checkout(tmp_path, "config:\n  letta:openaiApiKey: 'sk-verysecret\n").stack_file("dev")
    assert "Pulumi.dev.yaml is not valid YAML (line " in str(raised.value)
    assert "verysecret" not in str(raised.value)
