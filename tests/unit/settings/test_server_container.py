"""Variables that settings accept, given to the entrypoint of the server's image: the script itself, run here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from settings import check
from settings.server_environment import name_rule
from settings.server_variables import FORMS
from settings.values import PROJECT_ROOT

pytestmark = [pytest.mark.unit, pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")]

SCRIPT = PROJECT_ROOT / "images" / "letta" / "letta-entrypoint"
unhurried = hypothesis_settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=40)
# What Bash sets in every process, and what its script or the platform uses.
BASH = subprocess.run(
    ["bash", "-c", "compgen -v"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
).stdout.split()


def started(plain: Mapping[str, str], secrets: Mapping[str, str]) -> tuple[int, dict[str, str], str]:
    """Return the entrypoint's exit code, the environment that the server would get, and its messages."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "secrets").mkdir()
        for name, value in secrets.items():
            (place / "secrets" / name).write_text(value, encoding="utf-8")
        script = SCRIPT.read_text(encoding="utf-8")
        for path, replacement in (("/run/secrets", place / "secrets"), ("/tmp/letta", place / "work")):
            assert path in script
            script = script.replace(path, str(replacement))
        (place / "entrypoint").write_text(script, encoding="utf-8")
        # In place of the server: what it would be started with.
        stub = f'exec() {{ command env -0; command exit 0; }}\n. "{place}/entrypoint" server\n'
        (place / "run").write_text(stub, encoding="utf-8")
        run = subprocess.run(
            ["bash", str(place / "run")],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **plain},
            capture_output=True,
            check=False,
        )
        found = dict(entry.split("=", 1) for entry in run.stdout.decode().split("\0") if entry)
        return run.returncode, found, run.stderr.decode()


def arrives(plain: Mapping[str, str], secrets: Mapping[str, str]) -> bool:
    code, found, _ = started(plain, secrets)
    expected = {**plain, **secrets}
    return code == 0 and expected.items() <= found.items()


def is_accepted(key: str, name: str, value: str) -> bool:
    return not check({key: {name: value}}, ["serverSecrets"], stack="dev").problems


@pytest.mark.parametrize(
    "name",
    sorted({*BASH, "BASH_ENV", "GLOBIGNORE", "TMOUT", "POSIXLY_CORRECT", "FUNCNAME", "PIPESTATUS", "OLDPWD", "PS4",
            "BASH_COMPAT", "BASH_XTRACEFD", "file", "name", "value", "work", "https_proxy", "MY_FLAG", "TERM",
            "SHELL", "LETTA_WAIT_SECONDS", "LETTA_SOURCE", "LETTA_AUTHORITIES", "LETTA_LOG_FOLDER", "LANG", "TZ"}
           - {"PATH", "LC_ALL"}),
)  # fmt: skip
def test_a_name_that_the_container_does_not_hand_on_is_refused(name: str) -> None:
    if is_accepted("serverEnvironment", name, "1"):
        assert arrives({name: "1"}, {"OTHER": "secret"})
    if is_accepted("serverSecrets", name, "1"):
        assert arrives({}, {name: "1"})


@pytest.mark.parametrize("name", ["https_proxy", "Mixed_Case", "lower"])
def test_a_secret_that_would_stop_the_container_is_refused(name: str) -> None:
    code, _, messages = started({}, {name: "http://me:hunter22@proxy.example:3128"})
    assert code == 64
    assert "is not the name of an environment variable" in messages
    assert "hunter22" not in messages
    assert not is_accepted("serverSecrets", name, "http://me:hunter22@proxy.example:3128")


@pytest.mark.parametrize("name", ["UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS", "RANDOM", "SECONDS", "HOSTNAME"])
def test_names_that_bash_keeps_for_itself_are_refused(name: str) -> None:
    assert name_rule(name) is not None
    assert name_rule(name, secret=True) is not None


def test_every_variable_of_the_server_arrives() -> None:
    # One process for all of them: it is names that the script looks at.
    variables = {name: f"value of {name}" for name in FORMS}
    assert arrives(variables, {})
    assert arrives({}, variables)
    assert arrives({name.lower(): value for name, value in variables.items()}, {"OTHER": "secret"})


NAMES = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True),
    st.sampled_from(sorted({*FORMS, *(name.lower() for name in FORMS), *BASH})),
)
VALUES = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(
        ["$(id)", "`id`", "${HOME}", "a=b", "'", '"', "\\n", "*", "-n", "ü€", "!", "\t", "  x", "x" * 60_000]
    ),
)


@unhurried
@given(
    plain=st.dictionaries(NAMES, VALUES, max_size=4),
    secrets=st.dictionaries(NAMES.map(str.upper), VALUES, max_size=4),
)
def test_what_settings_accept_the_server_gets_as_it_is(plain: dict[str, str], secrets: dict[str, str]) -> None:
    # Rules between variables are checked when each by itself is valid.
    for _ in range(3):
        loaded = check({"serverEnvironment": plain, "serverSecrets": secrets}, ["serverSecrets"], stack="dev")
        wrong = {problem.key.removeprefix("letta:") for problem in loaded.problems}
        plain = {name: value for name, value in plain.items() if f"serverEnvironment.{name}" not in wrong}
        secrets = {name: value for name, value in secrets.items() if f"serverSecrets.{name}" not in wrong}
    assert loaded.problems == ()
    assert arrives(plain, secrets)
