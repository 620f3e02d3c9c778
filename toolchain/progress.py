"""Shows what is being done: the step, how long it has taken, and where its log is; never silent for long."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from toolchain import locations
from toolchain.errors import StepFailedError

HEARTBEAT_SECONDS = 10.0
TAIL_LINES = 20
_STOP_SECONDS = 5.0


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Where steps report to.

    Args:
        show: called with each line; the default writes to standard error.
        logs: folder for the programs' output; created when it is needed.
        heartbeat: seconds without a line after which the current step is shown again.
    """

    def __init__(
        self,
        show: Callable[[str], None] = _print,
        *,
        logs: Path | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._show = show
        self._logs = logs or locations.logs()
        self._heartbeat = heartbeat
        self._last = time.monotonic()
        self._steps: list[tuple[str, float]] = []
        self._log: Path | None = None
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        """Show a line, indented below the current step."""
        with self._lock:
            self._last = time.monotonic()
            self._show("    " + line if self._steps else line)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show a step's name, its duration when it ends, and a heartbeat while it lasts. Steps nest."""
        outermost = not self._steps
        self.say(f"==> {name}" if outermost else f"{name} …")
        started = time.monotonic()
        self._steps.append((name, started))
        ended = threading.Event()
        if outermost:
            threading.Thread(target=self._beat, args=(ended,), daemon=True).start()
        try:
            yield
        except BaseException as error:
            self._ended(ended, f"{_ending(error)} after {time.monotonic() - started:.0f} s")
            raise
        self._ended(ended, f"done in {time.monotonic() - started:.1f} s")

    def _ended(self, ended: threading.Event, how: str) -> None:
        ended.set()
        name, _ = self._steps[-1]
        self.say(how if len(self._steps) == 1 else f"{name}: {how}")
        self._steps.pop()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(min(1.0, self._heartbeat / 4)):
            steps = list(self._steps)
            if steps and time.monotonic() - self._last >= self._heartbeat:
                name, started = steps[-1]
                where = ""
                if self._log:
                    last = "".join(_tail(self._log, 1)).strip()[:100]
                    last = "" if last.startswith("$ ") else last  # the command itself
                    where = f" (log: {self._log}{'; last: ' + last if last else ''})"
                self.say(f"… {name}, {time.monotonic() - started:.0f} s{where}")

    def run(
        self,
        command: Sequence[str | Path],
        *,
        log: str,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        fix: Sequence[str] = (),
        output: Path | None = None,
    ) -> Path:
        """Run a program with its output in a log file, and return that file.

        Args:
            command: program and arguments; never a secret among them.
            log: name of the log file, without folder and suffix; an older one of this name is overwritten.
            environment: its full environment; that of this process when omitted.
            directory: where to run it.
            fix: what the user should do when it fails.
            output: file for its standard output, where that is a result and not a log.

        Raises:
            StepFailedError: when it cannot be started or fails, with the last lines of its output.
        """
        words = [str(word) for word in command]
        path = locations.private_folder(self._logs) / f"{log}.log"
        before, self._log = self._log, path
        try:
            with path.open("wb") as file, contextlib.ExitStack() as opened:
                file.write(f"$ {shlex.join(words)}\n".encode())
                file.flush()
                code = _call(
                    words,
                    environment=environment,
                    directory=directory,
                    stdout=opened.enter_context(output.open("wb")).fileno() if output else file.fileno(),
                    stderr=file.fileno(),
                )
        except OSError as error:
            raise StepFailedError(f"`{words[0]}` cannot be run: {error}", log=path, fix=fix) from None
        finally:
            self._log = before
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
            raise StepFailedError(
                f"`{shlex.join(words)[:200]}` ended with {how}", log=path, tail=_tail(path, TAIL_LINES), fix=fix
            )
        return path


def _call(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None,
    directory: Path | None,
    stdout: int,
    stderr: int,
) -> int:
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        # A process group of its own, so that it ends together with what it has started.
        start_new_session=True,
    )
    with _ended_by_signals():
        try:
            return process.wait()
        except BaseException:
            _stop(process)
            raise


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this process by an exception, so that the program it runs is stopped too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    changed = {
        number: signal.signal(number, end)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
    }
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            return


def _ending(error: BaseException) -> str:
    return "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else "failed"


def _tail(path: Path, count: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8000))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
