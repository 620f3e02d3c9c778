"""`Pulumi.<stack>.yaml`, read as Pulumi reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

_ENCRYPTED = "secure"


class StackFileError(ValueError):
    """The file is not a stack file; the text says why and never quotes it, since it may hold a secret."""


class _Loader(yaml.SafeLoader):
    """Reads scalars as the text that Pulumi makes of them: `True` as "true", `0x10` as "16", `.5` as "0.5".

    PyYAML alone follows YAML 1.1, where `yes` is a truth value and `12:30` a number; to Pulumi they are text.
    Dates stay as they are typed, though Pulumi writes points in time: the setting that is a date accepts both.
    """


def _bool(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node)).lower()


def _int(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_yaml_int(node))


def _float(loader: _Loader, node: yaml.ScalarNode) -> str:
    digits = format(Decimal(repr(loader.construct_yaml_float(node))), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


_TAG = "tag:yaml.org,2002:"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if tag == f"{_TAG}null"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# The first form that matches counts: `017` is octal, `089` is not.
for _name, _construct, _first, _form in (
    ("bool", _bool, "tTfF", r"(true|True|TRUE|false|False|FALSE)$"),
    ("int", _int, "-+0123456789", r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)$"),
    ("float", _float, "-+.0123456789", r"[-+]?(\.[0-9_]+|[0-9][0-9_]*\.?[0-9_]*)([eE][-+]?[0-9]{1,2})?$"),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(_form), list(_first))
    _Loader.add_constructor(f"{_TAG}{_name}", _construct)


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """What one stack file holds, without decrypting it; a stack without a file runs with the defaults."""

    path: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    """Values by key with namespace: text, objects and lists; encrypted ones are `{"secure": ciphertext}`."""
    encryption_salt: str | None = None
    secrets_provider: str | None = None
    """The URL of a key management service; None where a passphrase encrypts."""

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.path.name.removeprefix("Pulumi.").removesuffix(".yaml")

    @property
    def exists(self) -> bool:
        """Whether the file exists."""
        return self.path.is_file()

    @cached_property
    def secret_keys(self) -> frozenset[str]:
        """The keys that hold something encrypted, at whatever depth."""
        return frozenset(key for key, value in self.config.items() if any(True for _ in _ciphertexts(value)))

    @property
    def plain_parts(self) -> tuple[str, ...]:
        """Paths of plain values next to encrypted ones in one object, which Pulumi hands over as all secret."""
        return tuple(
            f"{key}.{name}"
            for key in sorted(self.secret_keys)
            if isinstance(self.config[key], Mapping)
            for name, part in self.config[key].items()
            if name != _ENCRYPTED and not any(True for _ in _ciphertexts(part))
        )

    def ciphertexts(self, key: str | None = None) -> Iterator[str]:
        """Yield every encrypted value in the file, or within one key."""
        for value in self.config.values() if key is None else [self.config.get(key)]:
            yield from _ciphertexts(value)

    def decrypted(self, decrypt: Callable[[str], str]) -> Mapping[str, Any]:
        """Return all values by key, with what `decrypt` returns in place of every ciphertext."""
        return {key: _decrypted(value, decrypt) for key, value in self.config.items()}


def read_stack_file(path: Path) -> StackFile:
    """Return the content of a stack file; of one that does not exist, an empty one.

    Raises:
        OSError: when it cannot be read.
        StackFileError: when it is not YAML, or not of a stack file's form.
    """
    if not path.is_file():
        return StackFile(path=path)
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    except UnicodeDecodeError:
        raise StackFileError("not valid UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise StackFileError(f"not valid YAML{line}") from None
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise StackFileError("not a mapping: it has to start with `config:`")
    config = document.get("config")
    config = {} if config is None else config
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise StackFileError("not a stack file: below `config:` there must be settings, each with its value")
    return StackFile(
        path=path,
        config=config,
        encryption_salt=_text(document, "encryptionsalt"),
        secrets_provider=_text(document, "secretsprovider"),
    )


def _text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is None or isinstance(value, str):
        return value
    raise StackFileError(f"not a stack file: `{key}:` must be text")


def _is_ciphertext(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {_ENCRYPTED} and isinstance(value[_ENCRYPTED], str)


def _ciphertexts(value: Any) -> Iterator[str]:
    if _is_ciphertext(value):
        yield value[_ENCRYPTED]
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _ciphertexts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _ciphertexts(inner)


def _decrypted(value: Any, decrypt: Callable[[str], str]) -> Any:
    if _is_ciphertext(value):
        return decrypt(value[_ENCRYPTED])
    if isinstance(value, Mapping):
        return {key: _decrypted(inner, decrypt) for key, inner in value.items()}
    if isinstance(value, list):
        return [_decrypted(inner, decrypt) for inner in value]
    return value
