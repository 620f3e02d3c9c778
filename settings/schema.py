"""What the model says about a setting: its field, the classes its type is made of, its rule in words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from settings.model import Settings
from settings.values import Rule


@cache
def fields() -> Mapping[str, FieldInfo]:
    """Return every setting by its key, in the order of the model."""
    return {field.alias or name: field for name, field in Settings.model_fields.items()}


def kinds(annotation: Any) -> list[Any]:
    """Return the plain classes that a field's annotation is made of."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in kinds(part)]
    return [origin or annotation]


def metadata(field: FieldInfo) -> list[Any]:
    """Return all annotations of a field, those within an optional type included, innermost first."""
    return [*_annotations(field.annotation), *field.metadata]


def _annotations(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *own = get_args(annotation)
        flat = [part for entry in own for part in (entry.metadata if isinstance(entry, FieldInfo) else [entry])]
        return [*_annotations(inner), *flat]
    if origin in (Union, UnionType):
        return [entry for part in get_args(annotation) for entry in _annotations(part)]
    return []


def is_optional(field: FieldInfo) -> bool:
    """Whether a setting has no default of its own."""
    return field.get_default(call_default_factory=True) in (None, {})


def rule(field: FieldInfo, *, nested: bool) -> str:
    """Return what holds for a field's values, or for those in an object (`nested`).

    Used where pydantic raised the error, whose own text can show the value.
    """
    if nested:
        return "must be text"
    for kind in kinds(field.annotation):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return "must be one of " + ", ".join(member.value for member in kind)
    rules = [entry for entry in metadata(field) if isinstance(entry, Rule)]
    return rules[-1].text if rules else "is not valid"
