"""Runs the server as `letta server` does, with less to wait for at start and with reloading that can be aimed.

It may be started beside the migration: it loads meanwhile, and serves when the database is what it needs.
Without LETTA_SOURCE the description of the API, which the server would compute and write to its working directory
at every start, comes ready from the image. With it, the source there is served and watched instead.
"""

# Its libraries are in the image, not in the environment that checks it.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO, cast

from database import DatabaseError, check_key, connect, wait_for_schema
from shared_analysis import shared_analysis

HOST = "0.0.0.0"  # noqa: S104 - inside a container; what is published is decided outside
PORT = 8283
DATABASE_SECONDS = 120
DATABASE_NAME = "letta-start"
TELEMETRY_SECONDS = 8
PREPARED_SCHEMA = Path("/opt/letta/share/openapi.json")


def _say(text: str) -> None:
    sys.stderr.write(f"serve: {text}\n")
    sys.stderr.flush()


def serve() -> None:
    """Serves the installed package in this process, until it is asked to stop."""
    # The server looks for this flag in the argument list; its command line refuses it.
    sys.argv = ["letta", "server", "--no-generation"]
    address, key = os.environ.get("LETTA_PG_URI", ""), os.environ.get("LETTA_ENCRYPTION_KEY", "")
    database = connect(address, patience=DATABASE_SECONDS, name=DATABASE_NAME)
    check_key(database, key)
    database.close()
    # A good part of the import would be spent on collecting garbage that is none.
    gc.disable()
    with shared_analysis():
        from letta.server.rest_api import app as rest
    from letta.settings import settings

    gc.enable()
    gc.freeze()
    wait_for_schema(address, key, patience=DATABASE_SECONDS, name=DATABASE_NAME, say=_say)

    prepared: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not prepared:
            prepared.update(json.loads(PREPARED_SCHEMA.read_text(encoding="utf-8")))
            if settings.cors_origins:
                prepared["servers"] = [{"url": origin} for origin in settings.cors_origins]
        return prepared

    if PREPARED_SCHEMA.exists():
        rest.app.openapi = openapi
    rest.start_server(host=HOST, port=PORT)


def send_last_telemetry() -> None:
    """Sends what spans and metrics are left; ends the process when nobody takes them for a while.

    Left to themselves they are tried for a minute. Where the whole machine or stack stops, the collector is gone
    and does not come back; where it is only replaced, it is back sooner.
    """
    from opentelemetry import metrics, trace

    senders = [
        threading.Thread(target=provider.shutdown, daemon=True)
        for provider in (trace.get_tracer_provider(), metrics.get_meter_provider())
        if hasattr(provider, "shutdown")
    ]
    for sender in senders:
        sender.start()
    deadline = time.monotonic() + TELEMETRY_SECONDS
    for sender in senders:
        sender.join(max(deadline - time.monotonic(), 0))
    if any(sender.is_alive() for sender in senders):
        _say("nobody takes the last telemetry; ending without")
        sys.stdout.flush()
        # The libraries' own exit handlers would begin again.
        os._exit(0)


def serve_source(source: Path) -> None:
    """Serves the package in `source` and starts it anew whenever one of its files changes.

    Not through `letta server --reload`: that watches the working directory, which must be a writable one.
    """
    import uvicorn

    sys.argv = ["letta", "server"]
    uvicorn.run(
        "letta.server.rest_api.app:app",
        host=HOST,
        port=PORT,
        reload=True,
        reload_dirs=[str(source / "letta")],
        timeout_keep_alive=int(os.environ.get("LETTA_UVICORN_TIMEOUT_KEEP_ALIVE", "5")),
        access_log=False,
    )


if os.environ.get("LETTA_SOURCE"):
    # Here and not in the function, because the process that serves imports this file anew.
    from redaction import Redacted

    sys.stdout = cast("TextIO", Redacted(sys.stdout))
    sys.stderr = cast("TextIO", Redacted(sys.stderr))

if __name__ == "__main__":
    # uvicorn hands the signal on once it has drained; asked to end, the program has done well.
    asked_to_end = contextlib.suppress(KeyboardInterrupt)
    if os.environ.get("LETTA_SOURCE"):
        with asked_to_end:
            serve_source(Path(os.environ["LETTA_SOURCE"]))
    else:
        try:
            with asked_to_end:
                serve()
        except DatabaseError as error:
            sys.exit(f"serve: {error}")
        send_last_telemetry()
