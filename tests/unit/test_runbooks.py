"""Each alert, and each finding of `make doctor` that can be broken, has a runbook; each runbook one of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.unit

# The nearest folder that is the checkout, however deep this file lies below it.
ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "Pulumi.yaml").is_file())
RUNBOOKS = ROOT / "docs" / "runbooks"
INDEX = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
PAGES = {
    page.name: page.read_text(encoding="utf-8") for page in sorted(RUNBOOKS.glob("*.md")) if page.stem != "README"
}
PARTS = ("What it means", "How to investigate", "How to fix", "How to know that it is fixed")

RULES = yaml.safe_load((ROOT / "otel" / "alerts.yaml").read_text(encoding="utf-8"))
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call in a module, with the function that it stands in."""

    module: ast.Module
    function: Function | None
    call: ast.Call


class UnknownNameError(AssertionError):
    """The name of a finding cannot be read from the source."""


def calls(modules: dict[Path, ast.Module]) -> dict[str, list[Call]]:
    """Return all calls by the last part of what is called."""
    found: dict[str, list[Call]] = {}

    def visit(node: ast.AST, module: ast.Module, function: Function | None) -> None:
        if isinstance(node, Function):
            function = node
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            found.setdefault(name, []).append(Call(module=module, function=function, call=node))
        for child in ast.iter_child_nodes(node):
            visit(child, module, function)

    for module in modules.values():
        visit(module, module, None)
    return found


def parameter(call: ast.Call, name: str, position: int) -> ast.expr | None:
    """Return what a call gives for a parameter."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    return given.get(name) or (call.args[position] if position < len(call.args) else None)


def assigned(body: list[ast.stmt], name: str) -> ast.expr | None:
    """Return what is assigned to a name in a body, nested blocks included."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign) and any(
                isinstance(one, ast.Name) and one.id == name for one in node.targets
            ):
                return node.value
    return None


def names(value: ast.expr | None, at: Call, known: dict[str, list[Call]]) -> Iterator[str]:
    """Yield the texts that an expression can be; of an f-string the fixed beginning."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr) and isinstance(value.values[0], ast.Constant):
        yield str(value.values[0].value).rstrip(" (")
    elif isinstance(value, ast.Name):
        yield from _of_variable(value.id, at, known)
    else:
        raise UnknownNameError(f"line {at.call.lineno}: {ast.unparse(at.call)}")


def _of_variable(name: str, at: Call, known: dict[str, list[Call]]) -> Iterator[str]:
    function = at.function
    if function:
        parameters = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        if name in parameters:
            for call in known.get(function.name, []):
                yield from names(parameter(call.call, name, parameters.index(name)), call, known)
            return
    local = assigned(function.body, name) if function else None
    yield from names(local or assigned(at.module.body, name), at, known)


def broken_findings(folder: Path) -> set[str]:
    """Return the names of all findings that the code below a folder can call broken."""
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")}
    known = calls(modules)
    return {
        name for call in known.get("broken", []) for name in names(parameter(call.call, "name", 0), call, known)
    }


def runbook(finding: str) -> str:
    """Return the file name of the page for a finding."""
    return f"doctor-{finding.lower()}.md"


FINDINGS = broken_findings(ROOT / "operations")


def test_findings_are_read_from_the_code(tmp_path: Path) -> None:
    (tmp_path / "checks.py").write_text(
        'NAME = "constant"\n'
        "def one():\n    return broken(NAME, 'words')\n"
        "def two(number):\n    name = f'port {number}'\n    return broken(name, 'words')\n"
        "def three(name):\n    return result.broken(name=name, detail='words')\n",
        encoding="utf-8",
    )
    (tmp_path / "doctor.py").write_text("checks.three('given')\nbroken(f'disk ({1})', '')\n", encoding="utf-8")

    assert broken_findings(tmp_path) == {"constant", "port", "given", "disk"}


def test_a_finding_whose_name_cannot_be_read_fails(tmp_path: Path) -> None:
    (tmp_path / "checks.py").write_text("broken(name_of(1), 'words')\n", encoding="utf-8")
    with pytest.raises(UnknownNameError):
        broken_findings(tmp_path)


def test_the_findings_of_the_doctor_are_found() -> None:
    assert {"engine", "disk", "port", "services", "state", "telemetry"} <= FINDINGS


def test_every_alert_and_every_broken_finding_has_a_page_and_every_page_one_of_them() -> None:
    wanted = {f"{alert}.md" for alert in ALERTS} | {runbook(finding) for finding in FINDINGS}
    assert wanted == set(PAGES)


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_leads_to_its_page(alert: str) -> None:
    assert ALERTS[alert]["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_and_its_page_agree_on_the_severity(alert: str) -> None:
    severity = ALERTS[alert]["labels"]["severity"]
    assert f"**{severity.capitalize()}.**" in PAGES[f"{alert}.md"]
    assert f"| [{alert}]({alert}.md) | {severity} |" in INDEX


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_says_what_it_is_how_to_investigate_how_to_fix_and_how_to_know(page: str) -> None:
    assert re.findall(r"^## (.+)$", PAGES[page], re.MULTILINE) == list(PARTS)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_index_links_to_every_page(page: str) -> None:
    assert f"]({page})" in INDEX


@pytest.mark.parametrize("page", sorted(PAGES))
def test_metrics_that_a_page_names_are_in_the_rules_or_on_the_dashboard(page: str) -> None:
    known = (ROOT / "otel" / "alerts.yaml").read_text(encoding="utf-8")
    known += (ROOT / "otel" / "dashboards" / "collector.json").read_text(encoding="utf-8")
    named = re.findall(r"`(otelcol_[a-z_]+)(?:…)?`", PAGES[page])
    assert [name for name in named if name not in known] == []
