"""Runs inside the image: imports every module of the server and prints what failed, as JSON."""

# mypy: disable-error-code="import-not-found"

import importlib
import json
import pkgutil
import sys
import warnings

warnings.simplefilter("ignore")
# Modules that run a program when they are imported: a client that connects for ever.
PROGRAMS = {"letta.server.ws_api.example_client"}

import letta  # noqa: E402

failures = {}
modules = 0
for module in pkgutil.walk_packages(letta.__path__, "letta.", onerror=lambda _: None):
    if module.name in PROGRAMS:
        continue
    modules += 1
    try:
        importlib.import_module(module.name)
    except Exception as error:
        failures[module.name] = f"{type(error).__name__}: {error}"
sys.stdout.write("\n" + json.dumps({"modules": modules, "failures": failures}) + "\n")
