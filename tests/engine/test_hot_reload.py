"""With a source directory the server runs that source, and reloads it when it changes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import httpx
import pytest

from testbed.deployment import Deployment
from testbed.polling import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def source(platform: Deployment, tmp_path: Path) -> Path:
    """A copy of the server's source from the image."""
    container = platform.container("letta")
    found = container.exec_run(
        ["sh", "-c", "find / -xdev -type d -path '*site-packages/letta' -prune -print 2>/dev/null | head -n 1"]
    )
    assert isinstance(found.output, bytes)
    folder = found.output.decode().strip()
    stream, _ = container.get_archive(folder)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        archive.extractall(tmp_path, filter="data")
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    return tmp_path


def test_an_edit_of_the_source_is_served_without_an_update(platform: Deployment, source: Path) -> None:
    platform.set(sourceDirectory=str(source))
    health = platform.outputs()["healthUrl"]
    try:
        platform.pulumi("up", "--yes", "--skip-preview")
        router = source / "letta" / "server" / "rest_api" / "routers" / "v1" / "health.py"
        text = router.read_text()
        assert 'status="ok"' in text
        router.write_text(text.replace('status="ok"', 'status="edited"'))
        for attempt in eventually(300):
            with attempt:
                assert httpx.get(health).json()["status"] == "edited"
    finally:
        platform.set(sourceDirectory=None)
        platform.pulumi("up", "--yes", "--skip-preview")
    assert httpx.get(health).json()["status"] == "ok"
