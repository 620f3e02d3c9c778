"""Runs the Pulumi CLI for one stack: for an answer, or with its output streamed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from operations.console import process
from operations.console.errors import OperationError
from operations.console.redaction import hide, redacted
from operations.stack.event_log import EventLog, describe
from operations.stack.known_errors import fixes
from operations.stack.state import StackState


@dataclass(frozen=True, kw_only=True)
class PulumiCli:
    """The CLI, as a user in the documented shell would run it."""

    environment: Mapping[str, str]
    directory: Path
    stack: str

    def _binary(self) -> str:
        found = shutil.which("pulumi", path=self.environment.get("PATH"))
        if not found:
            raise OperationError(
                "the Pulumi CLI is not installed", where="PATH", fix=["`make toolchain` installs it"]
            )
        return found

    def _failed(self, verb: str, output: str, code: int) -> OperationError:
        last = redacted(output.strip())[-1500:]
        return OperationError(
            f"`pulumi {verb}` ended with exit code {code}" + (f":\n{last}" if last else ""),
            where=f"stack {self.stack}",
            fix=fixes(output, self.stack),
        )

    def answer(self, *arguments: str) -> str:
        """Run a command and return its standard output.

        Raises:
            OperationError: when it fails, with the end of what it wrote to standard error.
        """
        command = [self._binary(), *arguments, "--stack", self.stack, "--non-interactive"]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise self._failed(arguments[0], done.stderr or done.stdout, done.returncode)
        return done.stdout

    def stream(self, *arguments: str, omit: tuple[str, ...] = (), log: IO[str] | None = None) -> None:
        """Run an operation on the stack; show its output as it comes, and a heartbeat while none comes.

        Lines that begin with one of `omit` are not shown.

        Raises:
            OperationError: when it fails; what it wrote has been shown.
        """
        with tempfile.TemporaryDirectory(prefix="letta-platform-") as folder:
            # The engine's events say what is in progress; its output only says when something has ended.
            events = EventLog(Path(folder) / "events.json")
            verb = " ".join(word for word in arguments[:1])
            command = [self._binary(), *arguments, "--stack", self.stack, "--non-interactive"]
            command += ["--event-log", str(events.path), "--suppress-progress"]
            ended = process.run(
                command,
                directory=self.directory,
                # Without it the flag --event-log does not exist.
                environment={**self.environment, "PULUMI_DEBUG_COMMANDS": "true"},
                when_silent=lambda seconds: _heartbeat(verb, events, seconds),
                omit=omit,
                log=log,
            )
            events.read()
        if ended.code:
            failed = f"; failed: {', '.join(dict.fromkeys(events.failed))}" if events.failed else ""
            raise OperationError(
                f"`pulumi {verb}` {_ending(ended.code)} (see above){failed}",
                where=f"stack {self.stack}",
                fix=fixes(ended.tail, self.stack),
            )

    def interactive(self, *arguments: str) -> None:
        """Run an operation that asks the user at the terminal.

        Raises:
            OperationError: when it fails or is declined.
        """
        command = [self._binary(), *arguments, "--stack", self.stack]
        # Ctrl-C in a terminal reaches both processes; Pulumi must be the one to stop in order.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = subprocess.call(
                command,
                cwd=self.directory,
                env=dict(self.environment),
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        finally:
            signal.signal(signal.SIGINT, before)
        if code:
            raise OperationError(
                f"`pulumi {arguments[0]}` ended with exit code {code} (see above)", where=f"stack {self.stack}"
            )

    def state(self, *, show_secrets: bool = False) -> StackState:
        """Return the state as Pulumi exports it; its secrets are only held in memory, and hidden from output."""
        text = self.answer("stack", "export", *(["--show-secrets"] if show_secrets else []))
        exported: dict[str, Any] = json.loads(text)
        state = StackState(exported.get("deployment") or {})
        hide(state.secret_values())
        return state


def _ending(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"


def _heartbeat(verb: str, events: EventLog, seconds: float) -> str:
    doing = describe(events.in_progress(), time.time())
    return f"    … pulumi {verb}, {seconds:.0f} s: {doing or 'waiting for the program and the plugins'}"


def with_colour(environment: Mapping[str, str]) -> bool:
    """Whether the terminal wants colours."""
    return os.isatty(1) and "NO_COLOR" not in environment
