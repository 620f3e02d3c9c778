"""The variables that make `pulumi` work in a shell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from toolchain import docker_endpoint, locations, network, passphrase, pulumi


def shell_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables to add to `environ`; what a user has set stays.

    Creates the state folder and its passphrase when they are missing.

    Raises:
        StepFailedError: when the passphrase is lost, or its file is readable by others.
    """
    found = pulumi.installed(environ)
    programs = [locations.VENV / "bin"]
    variables = {"VIRTUAL_ENV": str(locations.VENV), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if found:
        programs.insert(0, found.programs)
        if found.home:
            variables |= _own_home(found.home, environ)
    variables["PATH"] = _path(programs, environ)
    variables |= _state(environ)
    host = docker_endpoint.variable(environ)
    if host:
        variables["DOCKER_HOST"] = host
    bundle = network.ca_bundle(environ)
    if bundle:
        # The Pulumi program passes it to image builds.
        variables["LETTA_CA_BUNDLE"] = str(bundle)
    return variables


def _path(first: list[Path], environ: Mapping[str, str]) -> str:
    cache = str(locations.cache_home(environ)) + os.sep
    parts = environ.get("PATH", os.defpath).split(os.pathsep)
    # Without what an earlier call added: the shell may have been opened before an update.
    others = [part for part in parts if part and Path(part) not in first and not part.startswith(cache)]
    return os.pathsep.join([*map(str, first), *others])


def _own_home(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that select the plugins built on this machine, and keep the user's logins."""
    variables = {"PULUMI_HOME": str(home), "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
    if not environ.get("PULUMI_CREDENTIALS_PATH"):
        given = environ.get("PULUMI_HOME", "")
        cache = str(locations.cache_home(environ))
        usual = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
        login = Path(given) if given and not given.startswith(cache) else usual / ".pulumi"
        variables["PULUMI_CREDENTIALS_PATH"] = str(login)
    return variables


def _state(environ: Mapping[str, str]) -> dict[str, str]:
    home = locations.state_home(environ)
    variables = {}
    url = environ.get("PULUMI_BACKEND_URL")
    if not url:
        backend = locations.private_folder(home) / "backend"
        locations.private_folder(backend)
        url = variables["PULUMI_BACKEND_URL"] = backend.as_uri()
    scheme = urlsplit(url).scheme
    # A shared backend has its team's passphrase: with a generated one, the team could not read the secrets.
    if scheme == "file" and not _has_passphrase(environ, home / "passphrase"):
        file = home / "passphrase"
        parts = urlsplit(url)
        passphrase.ensure(file, backend=Path(unquote(parts.netloc + parts.path)).expanduser())
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(file)
    return variables


def _has_passphrase(environ: Mapping[str, str], own: Path) -> bool:
    if "PULUMI_CONFIG_PASSPHRASE" in environ:
        return True
    return environ.get("PULUMI_CONFIG_PASSPHRASE_FILE", "") not in {"", str(own)}
