"""The checkout that operations run in: the Pulumi project, and the files of its stacks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from operations.console.errors import OperationError
from toolchain import locations

if TYPE_CHECKING:
    from settings import StackFile  # importing it for real would cost verbs that read no settings half a second


@dataclass(frozen=True)
class Checkout:
    """A clone of this project."""

    root: Path = locations.ROOT

    @cached_property
    def project(self) -> str:
        """The name of the Pulumi project.

        Raises:
            OperationError: when there is no project here, or its file is invalid.
        """
        import yaml

        path = self.root / "Pulumi.yaml"
        if not path.is_file():
            raise OperationError(
                "no Pulumi project here", where=str(path), fix=["run this in a clone of the project"]
            )
        try:
            return str(yaml.safe_load(path.read_text(encoding="utf-8"))["name"])
        except (yaml.YAMLError, ValueError, KeyError, TypeError):
            raise OperationError(
                "the file of the Pulumi project cannot be read", where=str(path), fix=["restore it from git"]
            ) from None

    def stack_file(self, stack: str) -> StackFile:
        """Return the file of a stack; of one that does not exist, an empty one.

        Raises:
            OperationError: when it is not a stack file.
        """
        from settings import StackFileError, read_stack_file

        path = self.root / f"Pulumi.{stack}.yaml"
        try:
            return read_stack_file(path)
        except StackFileError as error:
            raise OperationError(
                f"{path.name} is {error}", where=str(path), fix=["correct the file, or restore it from git"]
            ) from None
