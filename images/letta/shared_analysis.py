"""Lets FastAPI look at a dependency that many routes share once, while the server's application is put together.

The server declares hundreds of routes, each three times, and nearly every one depends on the same function for
its headers. FastAPI looks at it anew each time: 1.5 s of the server's start, and 30 MB. What it finds depends on
the function and on the names in the route's path, so results are kept by these. The library is as it was
when the server runs.
"""

# Its libraries are in the image, not in the environment that checks it.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def shared_analysis() -> Iterator[None]:
    """Share what FastAPI finds out about dependencies between the routes that are declared inside."""
    from fastapi import params
    from fastapi.dependencies import utils

    analyse = utils.get_param_sub_dependant
    known: dict[tuple[Any, ...], Any] = {}

    def analyse_once(*, param_name: str, depends: Any, path: str, security_scopes: list[str] | None = None) -> Any:
        names = frozenset(utils.get_path_param_names(path))
        key = (depends.dependency, param_name, depends.use_cache, names)
        if security_scopes or isinstance(depends, params.Security):
            return analyse(param_name=param_name, depends=depends, path=path, security_scopes=security_scopes)
        if key not in known:
            known[key] = analyse(param_name=param_name, depends=depends, path=path)
        return known[key]

    utils.get_param_sub_dependant = analyse_once
    try:
        yield
    finally:
        utils.get_param_sub_dependant = analyse
