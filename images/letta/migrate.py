"""Brings the database to the server's schema, once, and holds it to one encryption key.

Runs as a JOB before the servers. Several at once take turns (the migrations themselves have no lock). The first
run writes the fingerprint of LETTA_ENCRYPTION_KEY beside the data; a run with another changes nothing and fails.
"""

# Its libraries are in the image, not in the environment that checks it.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import sys
import time
from pathlib import Path
from typing import TextIO, cast

import pg8000.native
from redaction import Redacted
from sqlalchemy.engine import URL, make_url

HOME = Path("/opt/letta")
LOCK = 0x6C657474615F6D67  # any number that nobody else uses: "letta_mg"
LABEL = b"letta-platform encryption key fingerprint 1"
PATIENCE_SECONDS = float(os.environ.get("LETTA_MIGRATION_PATIENCE_SECONDS", "120"))


class MigrationError(Exception):
    """The migration cannot go on; the message says what to do and holds no secret."""


def _say(text: str) -> None:
    sys.stdout.write(f"migrate: {text}\n")
    sys.stdout.flush()


def fingerprint(key: str) -> str:
    """What may be known about an encryption key: it can be compared, and the key not be found from it."""
    return hmac.new(key.encode(), LABEL, hashlib.sha256).hexdigest()


def connect(url: URL, *, deadline: float) -> pg8000.native.Connection:
    """Connects as soon as the database takes connections; a wrong password or name fails at once."""
    if url.host is None or url.username is None:
        raise MigrationError(
            "LETTA_PG_URI must name a host and a user: postgresql://user:password@host:5432/database"
        )
    while True:
        try:
            return pg8000.native.Connection(
                url.username,
                host=url.host,
                port=url.port or 5432,
                database=url.database,
                password=url.password if isinstance(url.password, str) else None,
                timeout=30,
                application_name="letta-migrate",
            )
        except pg8000.native.DatabaseError as error:
            details: dict[str, str] = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
            if not details.get("C", "").startswith("57"):  # 57P03: still starting
                raise MigrationError(f"the database refuses: {details.get('M', error)}") from None
            reason = "it is starting"
        except (pg8000.native.InterfaceError, OSError) as error:
            reason = str(error.__cause__ or error)
        if time.monotonic() > deadline:
            raise MigrationError(f"no connection to {url.host}:{url.port or 5432}: {reason}")
        time.sleep(0.3)


def take_turn(connection: pg8000.native.Connection, *, deadline: float) -> None:
    """Waits for the lock by asking again and again.

    A session that waits inside the database would hold a snapshot, and the migrations that build an index
    concurrently would wait for that snapshot in turn, for ever.
    """
    waiting = False
    while not connection.run("SELECT pg_try_advisory_lock(:lock)", lock=LOCK)[0][0]:
        if not waiting:
            _say("another migration is running; waiting for it")
            waiting = True
        if time.monotonic() > deadline:
            raise MigrationError("another migration held the lock for too long; look at its container's log")
        time.sleep(0.5)


def check_key(connection: pg8000.native.Connection, key: str) -> None:
    """Compares the key with the one that this database was first used with; the first time, remembers it."""
    if not connection.run("SELECT 1 FROM pg_namespace WHERE nspname = 'letta_platform'"):
        connection.run("CREATE SCHEMA letta_platform")
    connection.run(
        "CREATE TABLE IF NOT EXISTS letta_platform.encryption_key ("
        " only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),"
        " fingerprint text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now())"
    )
    mine = fingerprint(key)
    connection.run(
        "INSERT INTO letta_platform.encryption_key (fingerprint) VALUES (:mine) ON CONFLICT DO NOTHING", mine=mine
    )
    known = connection.run("SELECT fingerprint FROM letta_platform.encryption_key")[0][0]
    if not hmac.compare_digest(known, mine):
        raise MigrationError(
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


def upgrade(scripts: Path) -> None:
    """Runs the server's migrations to the newest revision; those that were run before are skipped."""
    from alembic import command
    from alembic.config import Config

    config = Config(str(HOME / "alembic.ini"))
    config.set_main_option("script_location", str(scripts))
    with contextlib.redirect_stdout(cast("TextIO", Redacted(sys.stdout))):
        command.upgrade(config, "head")


def main() -> None:
    """Waits for the database, checks the key, migrates."""
    began = time.monotonic()
    deadline = began + PATIENCE_SECONDS
    address = os.environ.get("LETTA_PG_URI", "")
    key = os.environ.get("LETTA_ENCRYPTION_KEY", "")
    if not address or not key:
        raise MigrationError("needs LETTA_PG_URI and LETTA_ENCRYPTION_KEY (files in /run/secrets)")
    connection = connect(make_url(address), deadline=deadline)
    try:
        take_turn(connection, deadline=deadline)
        check_key(connection, key)
        before = current_revision(connection)
        source = os.environ.get("LETTA_SOURCE")
        scripts = Path(source) / "alembic" if source else HOME / "alembic"
        # Loading the server's models only to find that there is nothing to do takes longer than all the rest.
        if not source and before == (HOME / "share" / "alembic-head.txt").read_text(encoding="utf-8").strip():
            _say(f"the database is at {before} already")
            return
        _say(f"upgrading from {before or 'nothing'}")
        upgrade(scripts)
        _say(f"upgraded to {current_revision(connection)} in {time.monotonic() - began:.1f} s")
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        main()
    except MigrationError as error:
        sys.exit(f"migrate: {error}")
