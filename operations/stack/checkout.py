"""The checkout this runs in: the project, and what a stack's file says without decrypting it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from operations.console.errors import OperationError
from toolchain import locations

NAMESPACE = "letta"
ROOT = locations.ROOT


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        # The error's own text quotes the line, which may hold a value.
        raise OperationError("not valid YAML", where=f"{path}{line}", fix=["mend the file"]) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise OperationError("not a mapping", where=str(path), fix=["start it with `config:`"])
    return content


def _is_ciphertext(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {"secure"} and isinstance(value["secure"], str)


def ciphertexts(value: object) -> Iterator[str]:
    """Give every encrypted value inside a configuration value."""
    if _is_ciphertext(value):
        yield value["secure"]  # type: ignore[index]
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from ciphertexts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ciphertexts(inner)


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """`Pulumi.<stack>.yaml` as written, with the defaults that `Pulumi.yaml` declares."""

    stack: str
    path: Path
    config: Mapping[str, object]
    """Keys as written, namespace included; encrypted values as `{"secure": …}`."""
    defaults: Mapping[str, object]
    """Keys without namespace."""
    encryption_salt: str | None
    secrets_provider: str | None

    @property
    def exists(self) -> bool:
        """Whether the file is there; a stack without one runs with the defaults."""
        return self.path.is_file()

    def value(self, key: str) -> object:
        """Give the value of a key of our namespace, or its default, or None."""
        return self.config.get(f"{NAMESPACE}:{key}", self.defaults.get(key))

    def number(self, key: str, otherwise: int) -> int:
        """Give a whole number; `otherwise` when it is not one (the settings' own check names that)."""
        value = self.value(key)
        try:
            return otherwise if value is None or isinstance(value, bool) else int(str(value))
        except ValueError:
            return otherwise

    def text(self, key: str, otherwise: str) -> str:
        """Give a text; `otherwise` when there is none."""
        value = self.value(key)
        return value if isinstance(value, str) and value else otherwise

    def flag(self, key: str) -> bool:
        """Give a yes or no; what is absent is a no."""
        return str(self.value(key)).lower() == "true"

    def ciphertexts(self) -> Iterator[str]:
        """Give every encrypted value in the file."""
        for value in self.config.values():
            yield from ciphertexts(value)


@dataclass(frozen=True)
class Checkout:
    """A clone of this project."""

    root: Path = ROOT

    @cached_property
    def project(self) -> str:
        """Name of the Pulumi project."""
        return str(self._project_file.get("name", NAMESPACE))

    @cached_property
    def _project_file(self) -> dict[str, Any]:
        path = self.root / "Pulumi.yaml"
        if not path.is_file():
            raise OperationError(
                "no Pulumi project here", where=str(path), fix=["run this in a clone of the project"]
            )
        return _read_yaml(path)

    def _defaults(self) -> dict[str, object]:
        declared = self._project_file.get("config") or {}
        return {
            key.removeprefix(f"{NAMESPACE}:"): entry["default"]
            for key, entry in declared.items()
            if isinstance(entry, dict) and "default" in entry
        }

    def stack_file(self, stack: str) -> StackFile:
        """Read the file of a stack; one that does not exist is an empty one.

        Raises:
            OperationError: when it is not valid YAML.
        """
        path = self.root / f"Pulumi.{stack}.yaml"
        content = _read_yaml(path) if path.is_file() else {}
        config = content.get("config") or {}
        return StackFile(
            stack=stack,
            path=path,
            config=config if isinstance(config, dict) else {},
            defaults=self._defaults(),
            encryption_salt=content.get("encryptionsalt"),
            secrets_provider=content.get("secretsprovider"),
        )

    def stacks(self) -> tuple[str, ...]:
        """Give the names of the stacks that have a file here."""
        names = (
            path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in self.root.glob("Pulumi.*.yaml")
        )
        return tuple(sorted(names))
