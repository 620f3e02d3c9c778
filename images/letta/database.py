"""What is to be known about the database before it is used: its revision, and the key it was encrypted with.

The migration and the servers ask the same, so that a server may start beside the migration, and waits for it.
"""

# Its libraries are in the image, not in the environment that checks it.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Callable
from pathlib import Path

import pg8000.native
from sqlalchemy.engine import make_url

SHARE = Path("/opt/letta/share")
LABEL = b"letta-platform encryption key fingerprint 1"


class DatabaseError(Exception):
    """The database cannot be used; the message says what to do and holds no secret."""


def fingerprint(key: str) -> str:
    """What may be known about an encryption key: it can be compared, and the key not be found from it."""
    return hmac.new(key.encode(), LABEL, hashlib.sha256).hexdigest()


def connect(address: str, *, patience: float, name: str) -> pg8000.native.Connection:
    """Connects as soon as the database takes connections, within so many seconds; a wrong password or name fails
    at once. `name` is how the database's own tools show it."""
    url = make_url(address)
    if url.host is None or url.username is None:
        raise DatabaseError(
            "LETTA_PG_URI must name a host and a user: postgresql://user:password@host:5432/database"
        )
    deadline = time.monotonic() + patience
    while True:
        try:
            return pg8000.native.Connection(
                url.username,
                host=url.host,
                port=url.port or 5432,
                database=url.database,
                password=url.password if isinstance(url.password, str) else None,
                timeout=30,
                application_name=name,
            )
        except pg8000.native.DatabaseError as error:
            details: dict[str, str] = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
            if not details.get("C", "").startswith("57"):  # 57P03: still starting
                raise DatabaseError(f"the database refuses: {details.get('M', error)}") from None
            reason = "it is starting"
        except (pg8000.native.InterfaceError, OSError) as error:
            reason = str(error.__cause__ or error)
        if time.monotonic() > deadline:
            raise DatabaseError(f"no connection to {url.host}:{url.port or 5432}: {reason}")
        time.sleep(0.3)


def check_key(connection: pg8000.native.Connection, key: str) -> None:
    """Compares the key with the one that this database was first used with, if it was used."""
    if not connection.run("SELECT to_regclass('letta_platform.encryption_key') IS NOT NULL")[0][0]:
        return
    rows = connection.run("SELECT fingerprint FROM letta_platform.encryption_key")
    known, mine = rows[0][0] if rows else "", fingerprint(key)
    if known and not hmac.compare_digest(known, mine):
        raise DatabaseError(
            "this database was encrypted with another encryption key than the one configured now. With a wrong "
            "key its stored credentials cannot be read, and new ones would be lost with the right key. Put the "
            "former key back (`pulumi config set --secret letta:encryptionKey`, with the key from the backup of "
            "the stack's state), or deploy with a new, empty data volume. "
            f"Fingerprints: database {known[:12]}, configured {mine[:12]}."
        )


def current_revision(connection: pg8000.native.Connection) -> str | None:
    """The revision that the database is at, None when it has no schema yet."""
    if not connection.run("SELECT to_regclass('alembic_version') IS NOT NULL")[0][0]:
        return None
    rows = connection.run("SELECT version_num FROM alembic_version")
    return str(rows[0][0]) if rows else None


def newest_revision() -> str:
    """The revision that this image's server works with."""
    return revisions()[0]


def revisions() -> list[str]:
    """All revisions that this image knows, newest first."""
    return (SHARE / "alembic-revisions.txt").read_text(encoding="utf-8").split()


def wait_for_schema(address: str, key: str, *, patience: float, name: str, say: Callable[[str], None]) -> None:
    """Waits until the migration has brought the database to this image's revision, and checks the key.

    A revision that this image does not know is a newer one: a server that is started again after a newer one was
    tried goes on with it, as it did before. It has to wait for a database that is away no longer than `patience`.
    """
    older = revisions()[1:]
    connection, told = None, -math.inf
    while True:
        try:
            connection = connection or connect(address, patience=patience, name=name)
            revision = current_revision(connection)
            if revision is not None and revision not in older:
                check_key(connection, key)
                connection.close()
                return
        except (pg8000.native.InterfaceError, pg8000.native.DatabaseError, OSError):
            # Restarted meanwhile.
            connection = None
        else:
            if time.monotonic() - told > 60:
                say(
                    f"waiting for the migration: the database is at {revision or 'nothing'} yet. Where none runs, "
                    "as after an older database was restored, run it again: `pulumi up --replace` with the URN of "
                    "the stack's migration container (`pulumi stack --show-urns`)"
                )
                told = time.monotonic()
        time.sleep(0.2)
