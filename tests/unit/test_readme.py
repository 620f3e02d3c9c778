"""The pages that people read: commands are real and covered, links lead somewhere, messages are the code's."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.deploy import summary
from settings import load
from settings.model import SECRET_KEYS, Settings
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]))
SHELL = ("sh", "bash", "console")
# The status of Letta V1 must be stated within them.
FIRST_SCREEN_LINES = 20

# Commands that the README shows → where each is run for real, or tested: file and a text in it.
COVERED = {
    "make up": ("tests/engine/conftest.py", 'deployment.make("up")'),
    "make test": (".ci/run", "make test"),
    "make down": ("tests/engine/test_data_services.py", 'deployment.make("down", "YES=1")'),
    "make toolchain": ("tests/engine/test_lifecycle.py", 'make("toolchain")'),
    "make env": ("testbed/deployment.py", "make -s env"),
    "make status": ("tests/unit/operations/verbs/test_status.py", "def test_the_status_"),
    "make doctor": (
        "tests/unit/operations/checks/test_stack.py",
        "def test_every_finding_that_is_broken",
    ),
    "make traces": ("tests/unit/operations/verbs/test_traces.py", "def test_only_the_last_traces_are_shown"),
    "make clean": ("tests/unit/operations/verbs/test_clean.py", "def test_only_our_images_"),
    "make docs": ("tests/unit/development/test_generated_docs.py", "def test_stale_and_missing_pages_"),
    "make refresh-packages": ("tests/unit/development/test_dependency_locks.py", "def test_refreshing_packages_"),
    "make benchmark": ("Makefile", "-m benchmarks"),
    "make help": ("tests/unit/test_readme.py", "def test_make_help_lists_every_verb"),
    "pulumi up": ("tests/engine/test_lifecycle.py", '"up", "--yes"'),
    "pulumi preview": ("tests/engine/test_lifecycle.py", '"preview", "--expect-no-changes"'),
    "pulumi refresh --preview-only --expect-no-changes": (
        "tests/engine/test_lifecycle.py",
        '"refresh", "--preview-only", "--expect-no-changes"',
    ),
    "pulumi stack output": ("testbed/deployment.py", '"stack", "output"'),
    "pulumi stack init": ("tests/engine/conftest.py", '"stack", "init"'),
    "pulumi config set --secret": ("testbed/deployment.py", '"config", "set", "--secret"'),
    "pulumi config set": ("tests/preview/test_preview.py", '"config", "set", full'),
    # Pulumi's own command, which edits the stack file.
    "pulumi config rm": ("settings/problems.py", "pulumi config rm"),
    "pulumi cancel": ("operations/deploy/preflight.py", '"cancel", "--yes"'),
}
# Placeholders for the reader's own values.
PLACES = ("../letta", "/path/ca.pem", "REFERENCE")
# Not tested: other programs, and builtins of the shell.
OTHERS = ("curl", "docker", "eval", "export", "pip", "python", "sudo")


def _blocks(text: str, languages: tuple[str, ...]) -> Iterator[str]:
    for match in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE):
        if match[2] in languages:
            yield "\n".join(line.removeprefix(match[1]) for line in match[3].splitlines()) + "\n"


def _commands(text: str) -> Iterator[str]:
    """Every command that a page shows: lines of shell blocks, and code within the text that begins like one."""
    for block in _blocks(text, SHELL):
        without_documents = re.sub(r"(<<'(\w+)'\n).*?^\2$", r"\1", block, flags=re.DOTALL | re.MULTILINE)
        yield from (line for line in without_documents.splitlines() if line.strip() and not line.startswith("#"))
    prose = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", prose):
        line = " ".join(code.split())
        if re.match(rf"(make|pulumi|{'|'.join(OTHERS)}) ", line):
            yield line


def _simple(command: str) -> Iterator[str]:
    """The commands that a line of shell consists of, those in `$(…)` too, without comments and redirections."""
    yield from re.findall(r"\$\(([^()]*)\)", command)
    line = re.sub(r"\"?\$\([^()]*\)\"?", "SUBSTITUTED", command)
    for part in re.split(r"&&|;|\|", re.sub(r"\s#.*", "", line)):
        yield re.sub(r"\s*[<>].*", "", part).strip()


def _verb(command: str) -> str:
    """A `make` or `pulumi` command as it stands in the table."""
    words = [word for word in shlex.split(command) if "=" not in word]
    if words[0] == "make":
        return " ".join(word for word in words if not word.startswith("-"))
    known = sorted((key for key in COVERED if key.startswith("pulumi")), key=len, reverse=True)
    return next((key for key in known if words[: len(key.split())] == key.split()), " ".join(words))


COMMANDS = sorted({simple for command in _commands(README) for simple in _simple(command)})
OURS = [command for command in COMMANDS if command.split()[0] in {"make", "pulumi"}]


def test_the_readme_has_commands() -> None:
    assert {"make up", "make test", "pulumi preview"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_is_known(command: str) -> None:
    assert command.split(maxsplit=1)[0] in {"make", "pulumi", *OTHERS}, command


@pytest.mark.parametrize("command", OURS)
def test_every_command_of_the_readme_is_run_or_tested_somewhere(command: str) -> None:
    assert _verb(command) in COVERED, f"who runs {command}?"


@pytest.mark.parametrize("command", sorted(COVERED))
def test_what_covers_a_command_is_there(command: str) -> None:
    file, text = COVERED[command]
    assert text in (ROOT / file).read_text(encoding="utf-8"), f"{file} covers {command} no more"


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    named = {
        word
        for command in _commands(page.read_text(encoding="utf-8"))
        for simple in _simple(command)
        if simple.startswith("make ")
        for word in shlex.split(simple)[1:]
        if "=" not in word and not word.startswith("-")
    }
    assert named <= _targets()


def test_make_help_lists_every_verb() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  make ([a-z-]+)", shown, re.MULTILINE))
    assert listed == _targets() - {"venv", "venv-dev"}


@pytest.mark.parametrize("block", list(_blocks(README, ("sh", "bash"))))
def test_shell_blocks_are_shell(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", list(_blocks(README, ("python",))))
def test_python_blocks_are_python(block: str) -> None:
    compile(block, "README.md", "exec")


@pytest.mark.parametrize("command", [one for one in OURS if one.startswith("pulumi config ")])
def test_settings_that_the_readme_sets_exist_and_take_the_value(command: str) -> None:
    words = shlex.split(command)[3:]
    named = [word for word in words if not word.startswith("--")]
    known = {field.alias for field in Settings.model_fields.values()}
    if not named or "rm" in command.split():
        assert set(named) <= known
        return
    key = named[0]
    assert key in known
    assert (key in SECRET_KEYS) == ("--secret" in words)
    if len(named) == 2 and named[1] not in PLACES:
        load({key: named[1]}, (), stack="dev")


def test_the_first_request_is_what_make_up_prints() -> None:
    printed = summary.snippets({"apiUrl": "http://localhost:8283"}, root=Path("ROOT"), stack="dev")
    # The reader of the README is in the clone, where neither folder nor usual stack need be said.
    assert printed.replace(" -C ROOT", "").replace("env STACK=dev", "env") in README


def _source() -> str:
    """The code and images in which messages are written, with literals that go over several lines put together."""
    files = [
        path
        for folder in ("settings", "operations", "runtime", "components", "toolchain", "images")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and (path.suffix in {".py", ".sh"} or "." not in path.name)
    ]
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(files))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_messages_of_the_troubleshooting_table_are_in_the_code() -> None:
    table = README.partition("## Troubleshooting")[2].partition("\n## ")[0]
    messages = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(messages) > 20
    source = _source()
    parts = [part.strip(" ()") for message in messages for part in message.split("…")]
    assert [part for part in parts if part not in source] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_the_status_of_letta_v1_is_on_the_first_screen() -> None:
    lines = README.splitlines()[:FIRST_SCREEN_LINES]
    missing = [word for word in ("retired", "no security updates", "production") if word not in " ".join(lines)]
    assert not missing


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    for number, page in enumerate(pages, start=1):
        text = page.read_text(encoding="utf-8")
        assert page.name.startswith(f"{number:04}-")
        assert f"]({page.name})" in index
        assert text.startswith(f"# {number}. ")
        for part in ("Context", "Options", "Decision", "Consequences"):
            assert f"**{part}.**" in text, f"{page.name} lacks {part}"
