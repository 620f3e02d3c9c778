"""Runs statements in ClickHouse over HTTP, and reports why when they fail."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import httpx

import catalogue
import otel
from operations.console.redaction import redacted

# ClickHouse's error codes about user and password, which are more precise than the HTTP status.
_ACCESS_DENIED = {"192", "193", "194", "516"}
_UNREACHABLE = {502, 503, 504}


class Failure(StrEnum):
    """Why a statement was not run."""

    UNREACHABLE = "unreachable"
    ACCESS_DENIED = "access denied"
    STATEMENT = "statement"
    """ClickHouse accepts the user, and refuses the statement."""
    NOT_CLICKHOUSE = "not ClickHouse"
    """Another program answers at the address."""


class ClickHouseError(Exception):
    """A statement was not run; the text says why, without a password."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure


def ask(
    client: httpx.Client,
    target: otel.ClickHouse,
    password: str,
    statement: str,
    parameters: Mapping[str, str] | None = None,
) -> str:
    """Run a statement with its parameters (`{name:String}`), and return ClickHouse's answer as text.

    Raises:
        ClickHouseError: when it was not run.
    """
    address, host = _from_here(target.address)
    try:
        answer = client.post(
            address,
            headers={"Host": host.netloc.decode()},
            # For TLS it still has the name that containers know it by.
            extensions={"sni_hostname": host.raw_host.decode()},
            params={f"param_{name}": value for name, value in (parameters or {}).items()},
            content=statement.encode(),
            auth=httpx.BasicAuth(target.username.encode(), password.encode()),
            # A redirection leads elsewhere, where the password must not go.
            follow_redirects=False,
        )
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        raise ClickHouseError(Failure.UNREACHABLE, f"ClickHouse does not answer: {why}") from None
    code = answer.headers.get("X-ClickHouse-Exception-Code")
    if answer.status_code == httpx.codes.OK and code is None:
        return answer.text
    if code in _ACCESS_DENIED or (code is None and answer.status_code == httpx.codes.UNAUTHORIZED):
        raise ClickHouseError(Failure.ACCESS_DENIED, "ClickHouse refuses the user or the password")
    if code is not None:
        raise ClickHouseError(Failure.STATEMENT, redacted(answer.text.strip())[:300])
    if answer.status_code in _UNREACHABLE:
        why = f"HTTP {answer.status_code} from a proxy in front of it"
        raise ClickHouseError(Failure.UNREACHABLE, f"ClickHouse does not answer: {why}")
    raise not_clickhouse(f"HTTP {answer.status_code}")


def _from_here(address: str) -> tuple[httpx.URL, httpx.URL]:
    """Return where a container's address is asked from this machine, and the address itself.

    Only containers know the machine by the name that they have for it.
    """
    url = httpx.URL(address)
    return (url.copy_with(host="127.0.0.1") if url.host == catalogue.MACHINE else url), url


def not_clickhouse(what: str) -> ClickHouseError:
    """Return the error for an answer that cannot be ClickHouse's."""
    return ClickHouseError(Failure.NOT_CLICKHOUSE, f"what answers is not ClickHouse's HTTP interface: {what}")
