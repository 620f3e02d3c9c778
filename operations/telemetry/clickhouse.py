"""Asks ClickHouse over HTTP, and tells what is wrong when it does not do what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import httpx

import otel
from operations.console.redaction import redacted

# ClickHouse's codes for what is wrong with user and password, which HTTP statuses tell less well.
_NOT_LET_IN = {"192", "193", "194", "516"}
_AWAY = {502, 503, 504}


class Trouble(StrEnum):
    """Why there is no answer."""

    AWAY = "away"
    NOT_LET_IN = "not let in"
    FAILED = "failed"
    """It is ClickHouse, lets the user in, and does not do it."""
    SOMETHING_ELSE = "something else"


class ClickHouseError(Exception):
    """There is no answer; the text says why, without a password."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble


def ask(
    client: httpx.Client,
    target: otel.ClickHouse,
    password: str,
    statement: str,
    parameters: Mapping[str, str] | None = None,
) -> str:
    """Run a statement with its parameters (`{name:String}`), and give the answer as it comes.

    Raises:
        ClickHouseError: when there is none.
    """
    try:
        answer = client.post(
            target.address,
            params={f"param_{name}": value for name, value in (parameters or {}).items()},
            content=statement.encode(),
            auth=httpx.BasicAuth(target.username.encode(), password.encode()),
            # A redirection leads to something else, which is not to get the password.
            follow_redirects=False,
        )
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        raise ClickHouseError(Trouble.AWAY, f"ClickHouse does not answer: {why}") from None
    code = answer.headers.get("X-ClickHouse-Exception-Code")
    if answer.status_code == httpx.codes.OK and code is None:
        return answer.text
    if code in _NOT_LET_IN or (code is None and answer.status_code == httpx.codes.UNAUTHORIZED):
        raise ClickHouseError(Trouble.NOT_LET_IN, "ClickHouse refuses the user or the password")
    if code is not None:
        raise ClickHouseError(Trouble.FAILED, redacted(answer.text.strip())[:300])
    if answer.status_code in _AWAY:
        why = f"HTTP {answer.status_code} from what is before it"
        raise ClickHouseError(Trouble.AWAY, f"ClickHouse does not answer: {why}")
    raise something_else(f"HTTP {answer.status_code}")


def something_else(what: str) -> ClickHouseError:
    """Give the error for an answer that ClickHouse would not give."""
    return ClickHouseError(Trouble.SOMETHING_ELSE, f"what answers is not ClickHouse's HTTP interface: {what}")
