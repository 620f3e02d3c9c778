"""The services as `make status` shows them."""

from __future__ import annotations

import pytest

from operations.verbs.status import services
from testbed.fake_engine import FakeEngine, container, inspection

pytestmark = pytest.mark.unit


def test_the_status_tells_jobs_from_services_and_leaves_out_file_bundles() -> None:
    job = container("job", state="exited", health=None, service="migration")
    bundle = container("files", state="created", health=None, service="letta-files")
    dead = container("dead", state="exited", health=None)
    engine = FakeEngine(
        all_containers=[container("well"), job, bundle, dead],
        inspections={job.id: inspection(is_job=True), dead.id: inspection(exit_code=1, restarts=4)},
    )
    found = {one.container: (one.state, one.is_well) for one in services(engine, "dev")}
    assert found == {
        "well": ("healthy", True),
        "job": ("succeeded", True),
        "dead": ("exited with exit code 1", False),
    }
