"""Sends counted telemetry over OTLP/gRPC as an SDK does, and records what was acknowledged.

    with Generator("127.0.0.1:4317", run="rolling upgrade") as generator:
        flow = generator.start(Signal.TRACES, count=60_000, rate=1_000, seconds=120)
        flow.wait_for(10_000)                  # acknowledged so far; now break something
        report = flow.finish()
    assert report.acknowledged <= stored       # the guarantee; what was given up may or may not be stored

`testbed.otlp.items` defines the items. Batches that are answered with UNAVAILABLE, RESOURCE_EXHAUSTED or the like
are sent again, after growing waits or the one that the server asks for, until the batch's `patience` or the flow's
time is over. It sends to this machine only, at most `MOST_ITEMS`, and for at most `LONGEST_FLOW` seconds.
"""

from __future__ import annotations

import ipaddress
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from testbed.otlp.items import SERVICES, Service, Signal

MOST_ITEMS = 2_000_000
LONGEST_FLOW = 1800.0
CALL_TIMEOUT = 10.0
"""Seconds for one answer, as in the SDKs."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
"""Seconds between attempts: doubled each time, with jitter, so that flows do not retry in step."""

RETRIED = frozenset({
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
})  # fmt: skip
"""What clients retry by OTLP's specification."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The outcome for each of a flow's numbers; those that are in no set were never sent.

    `given_up` had no final answer: the receiver may have them nevertheless. `rejected` belong to batches that the
    receiver rejected permanently, in part or in full; `answers` counts the gRPC statuses received.
    """

    signal: Signal
    run: str
    acknowledged: frozenset[int]
    given_up: frozenset[int]
    rejected: frozenset[int]
    answers: Mapping[str, int]


@dataclass(kw_only=True, slots=True)
class _Account:
    acknowledged: set[int] = field(default_factory=set)
    given_up: set[int] = field(default_factory=set)
    rejected: set[int] = field(default_factory=set)
    answers: dict[str, int] = field(default_factory=dict)


class Flow:
    """One signal that is being sent by a thread of its own."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        signal: Signal,
        run: str,
        count: int,
        batch: int,
        rate: float,
        seconds: float,
        patience: float,
        padding: int,
    ) -> None:
        self._signal, self._run, self._count, self._batch = signal, run, count, batch
        self._rate, self._patience, self._padding = rate, patience, "x" * padding
        self._end = time.monotonic() + seconds
        self._service: Service = SERVICES[signal]
        self._export: Any = channel.unary_unary(
            self._service.method,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=self._service.response.FromString,
        )
        self._account = _Account()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._send_all, name=f"otlp {signal}", daemon=True)
        self._thread.start()

    def wait_for(self, acknowledged: int, *, seconds: float = 60.0) -> None:
        """Wait until so many items were acknowledged; TimeoutError if the flow or the time ends first."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._account.acknowledged) >= acknowledged or self._over, timeout=seconds
            )
            so_far = len(self._account.acknowledged)
        if so_far < acknowledged:
            raise TimeoutError(f"{so_far} of {acknowledged} items acknowledged")

    def stop(self) -> None:
        """Send no more batches, and give up the one that is being retried."""
        self._stopping.set()

    def finish(self) -> Report:
        """Wait until the flow has sent its count or its time is over, and return the report."""
        self._thread.join()
        return self.report()

    def report(self) -> Report:
        """Return the report so far."""
        with self._changed:
            account = self._account
            return Report(
                signal=self._signal,
                run=self._run,
                acknowledged=frozenset(account.acknowledged),
                given_up=frozenset(account.given_up),
                rejected=frozenset(account.rejected),
                answers=dict(account.answers),
            )

    def _send_all(self) -> None:
        begin = time.monotonic()
        try:
            for first in range(0, self._count, self._batch):
                due = begin + first / self._rate
                if due >= self._end or self._stopping.wait(max(0.0, due - time.monotonic())):
                    return
                self._send(range(first, min(first + self._batch, self._count)))
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _send(self, numbers: range) -> None:
        request = self._service.request(self._run, numbers, self._padding)
        end = min(time.monotonic() + self._patience, self._end)
        wait = FIRST_WAIT
        account = self._account
        while True:
            outcome, answer, asked = self._attempt(request, max(0.01, end - time.monotonic()))
            pause = asked if asked is not None else wait * random.uniform(0.5, 1.0)  # noqa: S311
            over = outcome is account.given_up and (time.monotonic() + pause >= end or self._stopping.wait(pause))
            with self._changed:
                account.answers[answer] = account.answers.get(answer, 0) + 1
                if outcome is not account.given_up or over:
                    outcome.update(numbers)
                    self._changed.notify_all()
                    return
            wait = min(2 * wait, LONGEST_WAIT)

    def _attempt(self, request: Any, left: float) -> tuple[set[int], str, float | None]:
        """Send a batch once.

        Returns the set for its numbers if this was the last attempt, the answer, and the wait asked for, if any.
        """
        account = self._account
        try:
            response = self._export(request, timeout=min(CALL_TIMEOUT, left))
        except grpc.RpcError as error:
            code, asked = error.code(), _wanted_wait(error)
            return (account.given_up if code in RETRIED else account.rejected), code.name, asked
        refused = getattr(response.partial_success, self._service.rejected)
        return (account.rejected if refused else account.acknowledged), "OK", None


class Generator:
    """A client of one receiver."""

    def __init__(self, target: str, *, run: str) -> None:
        _check_loopback(target)
        self._run = run
        options = [
            ("grpc.enable_retries", 0),  # each attempt is counted
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.use_local_subchannel_pool", 1),  # each generator is a client of its own
        ]
        self._channel: grpc.Channel = grpc.insecure_channel(target, options)
        self._flows: list[Flow] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for flow in self._flows:
            flow.stop()
        for flow in self._flows:
            flow.finish()
        self._channel.close()

    def start(
        self,
        signal: Signal,
        *,
        count: int,
        rate: float,
        seconds: float = 60.0,
        batch: int = 512,
        patience: float = 30.0,
        padding: int = 0,
    ) -> Flow:
        """Start to send `count` items, `rate` a second for at most `seconds`, each with `padding` more characters.

        A batch is retried for `patience` seconds. Raises ValueError when the bounds are exceeded.
        """
        if not (0 < count <= MOST_ITEMS and 0 < seconds <= LONGEST_FLOW and rate > 0 and batch > 0):
            raise ValueError(f"a flow has at most {MOST_ITEMS} items and {LONGEST_FLOW:g} seconds")
        flow = Flow(
            self._channel, signal=signal, run=self._run, count=count, batch=batch, rate=rate, seconds=seconds,
            patience=patience, padding=padding,
        )  # fmt: skip
        self._flows.append(flow)
        return flow


def _check_loopback(target: str) -> None:
    host = target.rpartition(":")[0].strip("[]")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ValueError(f"{target} is not on this machine")


def _wanted_wait(error: Any) -> float | None:
    """Return the seconds that the server asks to wait (RetryInfo), if it does."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                info = RetryInfo()
                if detail.Unpack(info):
                    return float(info.retry_delay.ToTimedelta().total_seconds())
    return None
