"""Runs inside the image: imports every module of the server and prints what failed, as JSON."""

# mypy: disable-error-code="import-not-found"

import importlib
import json
import os
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
# Modules that run a program when they are imported: a client that never stops connecting.
PROGRAMS = {"letta.server.ws_api.example_client"}

import letta  # noqa: E402

# The application writes a file to the working directory when it is imported.
os.chdir("/tmp")
# As the server does: some modules can only be imported after others have registered what they need.
importlib.import_module("letta.server.rest_api.app")

root = Path(letta.__path__[0])
failures = {}
modules = 0
# By file and not by package: some of the server's folders are not packages, and are imported nevertheless.
for file in sorted(root.rglob("*.py")):
    parts = file.relative_to(root.parent).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    if name in PROGRAMS:
        continue
    modules += 1
    try:
        importlib.import_module(name)
    except Exception as error:
        failures[name] = f"{type(error).__name__}: {error}"
sys.stdout.write("\n" + json.dumps({"modules": modules, "failures": failures}) + "\n")
