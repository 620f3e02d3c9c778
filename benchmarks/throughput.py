"""What our server's settings gain: pooled database connections, compared with upstream's default, none pooled."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack

from letta_client import Letta

from benchmarks import server_copies
from benchmarks.load import Request, Server, requests_per_second
from benchmarks.platform import Platform
from benchmarks.report import Table
from benchmarks.samples import Samples, against
from catalogue import LETTA
from testbed.deployment import Container

PORT = 8283
CONNECTIONS = 8
SECONDS = 8.0
TURNS = 15
AGENTS = 10
REQUESTS_TARGET = ">= 4x"
TURN_TARGET = "<= 0.35x"
OURS, UPSTREAM = "ours", "upstream's default"
_ENVIRONMENT = {OURS: {}, UPSTREAM: {"LETTA_DISABLE_SQLALCHEMY_POOLING": "true"}}
_REQUESTS = {
    "list agents, page of 1": Request(method="GET", path="/v1/agents/?limit=1"),
    "list agents, page of 10": Request(method="GET", path="/v1/agents/?limit=10"),
    "create block": Request(
        method="POST", path="/v1/blocks/", body={"label": "benchmark", "value": "A benchmark's block."}
    ),
}


def measure(platform: Platform, rounds: int) -> list[Table]:
    """Load two servers in turn; both run all the time with the same database."""
    stack = platform.up()
    password = str(stack.outputs(secrets=True)["serverPassword"])
    with ExitStack() as running:
        servers: dict[str, Container] = {}
        for name, environment in _ENVIRONMENT.items():
            container = running.enter_context(
                server_copies.copy(
                    platform.engine,
                    stack.container(LETTA.name),
                    name=f"throughput-{len(servers)}",
                    label=stack.stack,
                    environment=environment,
                )
            )
            with platform.progress.step(f"starting a server, {name}"):
                server_copies.start(container)
            servers[name] = container
        addresses = {
            name: Server(host=server_copies.address(container), port=PORT, password=password)
            for name, container in servers.items()
        }
        with platform.progress.step(f"creating {AGENTS} agents"):
            agents = _create_agents(_client(addresses[OURS]))
        rates: dict[str, dict[str, list[float]]] = {what: {name: [] for name in servers} for what in _REQUESTS}
        turns: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(1, rounds + 1):
            with platform.progress.step(f"load, round {number} of {rounds}"):
                # Another server is first in each round.
                names = list(servers) if number % 2 else list(reversed(servers))
                for what, request in _REQUESTS.items():
                    for name in names:
                        rate = requests_per_second(
                            addresses[name], request, connections=CONNECTIONS, seconds=SECONDS
                        )
                        platform.progress.say(f"{what}, {name}: {rate:.0f} requests/s")
                        rates[what][name].append(rate)
                for name in names:
                    # Agents keep their history: both servers' agents get equally many messages.
                    agent = agents[2 * (number - 1) % AGENTS + names.index(name)]
                    seconds = _turns(_client(addresses[name]), agent)
                    platform.progress.say(f"message turn, {name}: {Samples.of(seconds).median * 1e3:.0f} ms")
                    turns[name] += seconds
    return [_table(rounds, rates, turns)]


def _table(rounds: int, rates: dict[str, dict[str, list[float]]], turns: dict[str, list[float]]) -> Table:
    rows = []
    for what, by_server in rates.items():
        ours, theirs = (Samples.of(by_server[name]) for name in (OURS, UPSTREAM))
        rows.append(
            (f"{what}, requests/s", *ours.shown(0), *theirs.shown(0), *against(ours, theirs, REQUESTS_TARGET))
        )
    ours, theirs = (Samples.of(1e3 * seconds for seconds in turns[name]) for name in (OURS, UPSTREAM))
    rows.append(("message turn, ms", *ours.shown(0), *theirs.shown(0), *against(ours, theirs, TURN_TARGET)))
    return Table(
        title="Our settings against upstream's default",
        columns=("", OURS, "min-max", UPSTREAM, "min-max", "ratio", "target"),
        rows=tuple(rows),
        notes=(
            "Two servers of the same image on the same Postgres, without nginx; one idles while the other is"
            " measured.",
            "Ours: pooled connections over TLS. Upstream's default: LETTA_DISABLE_SQLALCHEMY_POOLING=true.",
            f"{rounds} interleaved rounds of {SECONDS:.0f} s, {CONNECTIONS} connections, {AGENTS} agents in all.",
            f"Turns: one client, {TURNS} per round, a model that answers at once; the spread is over all turns.",
            "The cost of a page grows with the number of agents on it; the cost of a connection is constant.",
        ),
    )


def _client(server: Server) -> Letta:
    return Letta(base_url=f"http://{server.host}:{server.port}", api_key=server.password, timeout=120)


def _create_agents(client: Letta) -> list[str]:
    model = next(str(one.handle) for one in client.models.list() if "stand-in" in str(one.handle))
    return [
        str(
            client.agents.create(
                name=f"benchmark-{secrets.token_hex(4)}",
                model=model,
                embedding="letta/letta-free",
                memory_blocks=[{"label": "human", "value": "The human is a benchmark."}],
            ).id
        )
        for _ in range(AGENTS)
    ]


def _turns(client: Letta, agent: str) -> list[float]:
    taken = []
    # The first one is not counted: its caches are cold.
    for number in range(TURNS + 1):
        started = time.monotonic()
        client.agents.messages.create(agent, messages=[{"role": "user", "content": "good morning"}])
        if number:
            taken.append(time.monotonic() - started)
    return taken
