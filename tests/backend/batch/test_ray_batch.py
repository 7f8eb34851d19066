"""A batch on a real Ray cluster of several nodes, which loses a worker and a node in the middle.

Not part of the usual run, since it needs Ray and minutes: ``python3 -m backend setup --cluster``, and then
``python3 tests/run.py --bpy= -m cluster``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from backend.batch.manifest import MANIFEST
from backend.io.outputs import MESH, PREVIEW, THUMBNAIL, is_ours
from tests.helpers.images import shaded_disc
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.cluster
COUNT = 12


@pytest.fixture(scope="module")
def cluster():
    """A head without work, and three nodes of one core."""
    pytest.importorskip("ray", reason="Ray is not installed")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80_000_000, "include_dashboard": False}
    running = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        yield running, [running.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(3)]
    finally:
        running.shutdown()


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Discs of different colors, in two folders, and a file that is no image."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number in range(COUNT):
        pixels = shaded_disc()
        pixels[..., 2] //= number + 1
        Image.fromarray(pixels).save(folder / ("more" if number % 2 else "") / f"{number // 2}.png")
    (folder / "bad.png").write_text("no image")
    return folder


def _start(cluster, weights: Path, pictures: Path, out: Path, *more: str) -> subprocess.Popen:
    small = ["--weights", weights, "--faces", "500", "--texture-size", "256", "--device", "cpu", "--elevation", "20"]
    command = [sys.executable, "-m", "backend", "batch", pictures, "--out", out, "--engine", "ray", *small, *more]
    variables = {**os.environ, "RAY_ADDRESS": cluster.address}
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _entries(out: Path) -> list[dict]:
    lines = (out / MANIFEST).read_bytes().splitlines(keepends=True) if (out / MANIFEST).exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def _wait_for_entries(out: Path, count: int, batch: subprocess.Popen) -> None:
    while len(_entries(out)) < count:
        assert batch.poll() is None, batch.communicate()
        time.sleep(0.05)


def _working_actors() -> list[int]:
    """The processes that Ray shows as working on a picture."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().startswith(b"ray::_Maker.make"):
                found.append(int(process.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_every_picture_is_listed_once_though_a_worker_and_a_node_die(cluster, weights, pictures, tmp_path):
    running, nodes = cluster
    out = tmp_path / "out"
    batch = _start(running, weights, pictures, out)
    _wait_for_entries(out, 2, batch)
    while not (actors := _working_actors()):
        time.sleep(0.01)
    os.kill(actors[0], signal.SIGKILL)
    _wait_for_entries(out, 4, batch)
    running.remove_node(nodes[0], allow_graceful=False)
    output, _ = batch.communicate(timeout=500)
    assert batch.returncode == 1 and f"{COUNT + 1} pictures: {COUNT} new, 0 there already, 1 failed" in output, output

    entries = _entries(out)
    inputs = sorted(map(str, pictures.rglob("*.png")))
    assert sorted(entry["input"] for entry in entries) == inputs
    assert [entry["error"]["code"] for entry in entries if entry["error"]] == ["bad_image"]
    files = Counter(file for entry in entries for file in entry["files"].values())
    assert set(files.values()) == {1} and len(files) == 3 * COUNT
    for entry in entries:
        assert all(is_ours(out / entry["files"][role], role) for role in (MESH, PREVIEW, THUMBNAIL) if entry["files"])

    (pictures / "bad.png").unlink()
    (pictures / "0.png").rename(pictures / "moved.png")
    again = _start(running, weights, pictures, out, "--resume")
    output, _ = again.communicate(timeout=500)
    assert again.returncode == 0 and f"{COUNT} pictures: 0 new, {COUNT} there already, 0 failed" in output, output
    assert len(_entries(out)) == COUNT + 1, "the moved picture has a line of its own, and the bad one none any more"
