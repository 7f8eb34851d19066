"""The script in examples, which makes a whole .blend of an image, in every Blender at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from backend import environment
from tests.helpers.blender import HOSTS, in_later_blenders, run, start
from tests.helpers.images import shaded_disc
from tests.helpers.paths import ROOT

SCRIPT = ROOT / "examples" / "image_to_mesh.py"

pytestmark = pytest.mark.skipif(
    environment.python_path() is None, reason="the backend is not installed: python3 -m backend setup"
)


@pytest.fixture
def image_path(tmp_path) -> Path:
    """A shaded disc on a transparent ground."""
    path = tmp_path / "Größe 1.png"
    Image.fromarray(shaded_disc()).save(path)
    return path


@in_later_blenders
@pytest.mark.slow
def test_script_writes_a_blend(host, weights, image_path, tmp_path):
    """With the starter weights in the first Blender, without any flag but the device; then with those of a toy."""
    quick = ["--weights", weights, "--faces", 500, "--texture-size", 256, "--elevation", 20]
    out = tmp_path / "out.blend"
    flags = [] if host == HOSTS[0] else quick
    done = run(host, SCRIPT, image_path, out, "--device", "cpu", *flags, profile=tmp_path / "profile")
    assert done.returncode == 0 and out.is_file(), done.stdout
    output = start(host, "saved", out, profile=tmp_path / "fresh")
    assert "PASSED saved" in output, output


@in_later_blenders
def test_script_fails_with_one_sentence(host, tmp_path):
    (tmp_path / "picture.png").write_text("no picture")
    done = run(host, SCRIPT, tmp_path / "picture.png", tmp_path / "out.blend", profile=tmp_path / "profile")
    assert done.returncode == 1 and not (tmp_path / "out.blend").exists(), done.stdout
    assert "picture.png" in done.stdout and "Traceback" not in done.stdout, done.stdout
