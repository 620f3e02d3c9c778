"""Python packages: deploying installs what the program needs, testing installs that and more."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from development import dependency_locks
from operations.console.errors import OperationError
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

DEPLOYING = (ROOT / "requirements.lock").read_text()
TESTING = (ROOT / "requirements-dev.lock").read_text()
PRODUCT = ("components", "development", "operations", "otel", "runtime", "settings", "toolchain")
OURS = {*PRODUCT, "catalogue", "tests", "testbed", "benchmarks"}


def packages(lock: str) -> dict[str, str]:
    """Return package → version."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))


def imported() -> Iterator[tuple[str, Path]]:
    """Yield each third-party module that the product imports, with the importing file."""
    files = [*ROOT.glob("*.py"), *(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                top = module.partition(".")[0]
                if top not in OURS and top not in sys.stdlib_module_names:
                    yield top, path


def test_what_the_product_imports_is_locked_for_deploying() -> None:
    distributions = packages_distributions()
    locked = packages(DEPLOYING)
    missing = {
        f"{path.relative_to(ROOT)} imports {module}"
        for module, path in imported()
        if not any(one.lower().replace("_", "-") in locked for one in distributions.get(module, []))
    }
    assert not missing


def test_the_lock_for_tests_has_the_packages_for_deploying_in_the_same_versions() -> None:
    deploying, testing = packages(DEPLOYING), packages(TESTING)
    assert deploying
    assert {name: testing.get(name) for name in deploying} == deploying


def test_deploying_does_not_download_a_database_engine_and_linters() -> None:
    assert not packages(DEPLOYING).keys() & {"chdb-core", "mypy", "pytest", "ruff"}


@pytest.mark.parametrize(
    "target", ["test", "lint", "types", "test-unit", "test-preview", "test-engine", "benchmark"]
)
def test_a_verb_that_tests_or_measures_installs_its_packages_first(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    before, uses, _ = re.split(r"(-m (?:pytest|ruff|mypy|benchmarks)\b)", done, maxsplit=1)
    assert uses
    assert "toolchain/bootstrap.sh requirements-dev.lock" in before


def test_a_verb_that_deploys_installs_only_what_it_needs() -> None:
    done = subprocess.run(["make", "-n", "up"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "toolchain/bootstrap.sh\n" in done
    assert "requirements-dev" not in done


@pytest.mark.parametrize("lock", [dependency_locks.LOCK, dependency_locks.DEV_LOCK])
def test_locks_have_hashes_and_no_urls(lock: str) -> None:
    command = dependency_locks.compile_command(lock, upgrade=False)
    assert {"--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--universal"} <= set(command)
    assert "--upgrade" not in command
    assert "://" not in (ROOT / lock).read_text()


def test_every_declared_dependency_is_locked_at_a_version_that_it_allows() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for requirements, lock in (
        (declared["project"]["dependencies"], DEPLOYING),
        (declared["dependency-groups"]["dev"], TESTING),
    ):
        locked = packages(lock)
        assert requirements
        for requirement in map(Requirement, requirements):
            assert locked[requirement.name.lower()] in requirement.specifier, requirement


def test_requirements_without_a_solution_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "0"\ndependencies = ["a @ nowhere"]\n'
    )
    with pytest.raises(OperationError, match="uv found no set of versions") as raised:
        dependency_locks.lock(tmp_path, os.environ, upgrade=False)
    assert "pyproject.toml" in str(raised.value)
