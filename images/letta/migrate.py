"""Brings the database to the server's schema, once, and holds it to one encryption key.

Runs as a JOB before the servers. Several at once take turns (the migrations themselves have no lock). The first
run writes the fingerprint of LETTA_ENCRYPTION_KEY beside the data; a run with another changes nothing and fails.
"""

# Its libraries are in the image, not in the environment that checks it.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TextIO, cast

import pg8000.native
from database import DatabaseError, check_key, connect, current_revision, fingerprint, newest_revision
from redaction import Redacted

HOME = Path("/opt/letta")
LOCK = 0x6C657474615F6D67  # any number that nobody else uses: "letta_mg"
PATIENCE_SECONDS = float(os.environ.get("LETTA_MIGRATION_PATIENCE_SECONDS", "120"))


def _say(text: str) -> None:
    sys.stdout.write(f"migrate: {text}\n")
    sys.stdout.flush()


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
            raise DatabaseError("another migration held the lock for too long; look at its container's log")
        time.sleep(0.5)


def remember_key(connection: pg8000.native.Connection, key: str) -> None:
    """Writes the fingerprint of the key beside the data, unless there is one."""
    if not connection.run("SELECT 1 FROM pg_namespace WHERE nspname = 'letta_platform'"):
        connection.run("CREATE SCHEMA letta_platform")
    connection.run(
        "CREATE TABLE IF NOT EXISTS letta_platform.encryption_key ("
        " only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),"
        " fingerprint text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now())"
    )
    connection.run(
        "INSERT INTO letta_platform.encryption_key (fingerprint) VALUES (:mine) ON CONFLICT DO NOTHING",
        mine=fingerprint(key),
    )


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
        raise DatabaseError("needs LETTA_PG_URI and LETTA_ENCRYPTION_KEY (files in /run/secrets)")
    connection = connect(address, patience=PATIENCE_SECONDS, name="letta-migrate")
    try:
        take_turn(connection, deadline=deadline)
        remember_key(connection, key)
        check_key(connection, key)
        before = current_revision(connection)
        source = os.environ.get("LETTA_SOURCE")
        scripts = Path(source) / "alembic" if source else HOME / "alembic"
        # Loading the server's models only to find that there is nothing to do takes longer than all the rest.
        if not source and before == newest_revision():
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
    except DatabaseError as error:
        sys.exit(f"migrate: {error}")
