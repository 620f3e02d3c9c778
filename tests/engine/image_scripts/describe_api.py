"""Runs inside the image: compares the server's description of its routes, computed at start, with the prepared one
in the image, and prints the differences as JSON."""

# mypy: disable-error-code="import-not-found"

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, "/opt/letta/bin")
from shared_analysis import shared_analysis

os.chdir("/tmp")
with shared_analysis():
    import letta.server.rest_api.app  # noqa: F401

computed = json.loads(Path("openapi_letta.json").read_text())
prepared = json.loads(Path("/opt/letta/share/openapi.json").read_text())
routes = sorted(set(computed["paths"]) ^ set(prepared["paths"])) + [
    path for path, described in computed["paths"].items() if described != prepared["paths"].get(path)
]
outcome = {"routes": len(prepared["paths"]), "different": routes, "same": computed == prepared}
sys.stdout.write("\n" + json.dumps(outcome) + "\n")
