"""Changes the few lines of other people's source that must not be as they are, and fails when one is not there.

Run by the image build: `patch_source.py server SDIST` and `patch_source.py libraries SITE_PACKAGES`. Every change
names its reason; a release that moves a line stops the build instead of bringing a secret back into the log.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Replaces `old`, which must occur exactly once in `file`, by `new`."""

    file: str
    old: str
    new: str
    reason: str


SERVER = (
    Change(
        file="alembic/env.py",
        old='    print("Using database: ", sync_pg_uri)\n',
        new="",
        reason="prints the database's address with its password",
    ),
    Change(
        file="letta/server/rest_api/app.py",
        old='        print(f"▶ Using secure mode with password: {random_password}")\n',
        new='        print("▶ Using secure mode")\n',
        reason="prints the server's password",
    ),
    Change(
        file="letta/server/server.py",
        old="            config.recall_storage_uri = settings.letta_pg_uri_no_default\n",
        new="",
        reason="writes the database's password to ~/.letta/config, which nothing reads it from",
    ),
    Change(
        file="letta/server/server.py",
        old="            config.archival_storage_uri = settings.letta_pg_uri_no_default\n",
        new="",
        reason="the same",
    ),
    Change(
        file="letta/server/rest_api/app.py",
        old=(
            "        import nltk\n\n"
            '        logger.info(f"[Worker {worker_id}] Checking NLTK data availability...")\n'
            '        await asyncio.to_thread(nltk.download, "punkt_tab", quiet=True)\n'
        ),
        new="",
        reason="asks the internet at every start for data that lies in the image (NLTK_DATA)",
    ),
    Change(
        file="letta/otel/tracing.py",
        old=(
            "    if not _is_tracing_initialized:\n"
            "        return await call_next(request)\n"
            '    initial_span_name = f"{request.method} {request.url.path}"\n'
        ),
        new=(
            "    if not _is_tracing_initialized:\n"
            "        return await call_next(request)\n"
            '    if request.headers.get("user-agent") == "letta-healthy" or re.match(\n'
            '        r"/(v1|latest)/(health|ready)/?$", request.url.path\n'
            "    ):\n"
            "        # Below a parent that is not sampled nothing is: a probe leaves no spans.\n"
            "        with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=False))):\n"
            "            return await call_next(request)\n"
            '    initial_span_name = f"{request.method} {request.url.path}"\n'
        ),
        reason="upstream's own exclusion misses its probes' paths, and a collector cannot drop a trace's children",
    ),
)

LIBRARIES = (
    Change(
        file="inflect/__init__.py",
        old="from typeguard import typechecked\n",
        new="\n\ndef typechecked(function: Callable) -> Callable:\n    return function\n",
        reason="compiles itself anew at each import to check its callers' types: a sixth of the server's start",
    ),
)


def main(changes: tuple[Change, ...], folder: Path) -> None:
    """Applies every change; exits with a message naming the first one that does not fit."""
    for change in changes:
        path = folder / change.file
        text = path.read_text(encoding="utf-8")
        found = text.count(change.old)
        if found != 1:
            sys.exit(f"{change.file}: expected once, found {found} times: {change.old.strip()} ({change.reason})")
        path.write_text(text.replace(change.old, change.new), encoding="utf-8")
        sys.stdout.write(f"changed {change.file}: {change.reason}\n")


if __name__ == "__main__":
    main({"server": SERVER, "libraries": LIBRARIES}[sys.argv[1]], Path(sys.argv[2]))
