"""Words to a mesh: through the real process and the command line, with a Stable Diffusion of a toy's size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend import text_to_image
from backend.client import Backend
from backend.data_types import Cutout
from backend.errors import Cancelled, UserError
from backend.options import Options
from backend.pipeline import Pipeline
from backend.progress import ProgressEvent
from backend.protocol import Progress
from backend.weights.catalog import load_catalog
from backend.weights.registry import MANIFEST
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow

PROMPT = "eine blaue Teekanne, außen №1"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "home"


def _options(weights: Path, **more) -> dict:
    small = {"quality": "fast", "faces": 500, "texture_size": 256, "device": "cpu", "elevation": 20.0}
    return {"weights": str(weights)} | small | more


def _install(model: Path, home: Path, name: str) -> Path:
    """As ``weights add`` leaves it."""
    folder = home / "weights" / name
    shutil.copytree(model, folder)
    about = {"kind": "text-to-image", "source": "here", "license": "CC0-1.0", "files": {}}
    (folder / MANIFEST).write_text(json.dumps(about))
    return folder


def test_prompt_becomes_a_textured_mesh(text_model, weights, home, tmp_path):
    with Backend(sys.executable, tmp_path / "log") as backend:
        with pytest.raises(UserError, match="install one, such as flux2-klein") as caught:
            backend.wait(backend.text_to_mesh(PROMPT, tmp_path / "job", _options(weights)))
        assert caught.value.code == "no_text_model" and not (tmp_path / "job").exists()
        with pytest.raises(UserError) as caught:
            backend.wait(backend.text_to_mesh(" ", tmp_path / "job", _options(weights)))
        assert caught.value.code == "bad_option"

        _install(text_model, home, "anything")
        events: list[Progress] = []
        backend.wait(backend.text_to_mesh(PROMPT, tmp_path / "job", _options(weights)), events.append)
        fractions = [event.fraction for event in events]
        assert fractions == sorted(fractions) and events[0].stage == "text" and PROMPT in events[1].text
        assert {"text", "picture", "views", "texture"} <= {event.stage for event in events}
        assert any(event.preview and event.preview.endswith("picture.png") for event in events)
        report = json.loads((tmp_path / "job" / "report.json").read_text(encoding="utf-8"))
        assert (report["text"], report["text_model"], report["picture"]) == (PROMPT, "anything", "picture.png")
        assert report["mesh"]["watertight"] and report["seconds"]["text"] > 0
        assert Image.open(tmp_path / "job" / "picture.png").size == (64, 64)

        def cancel(progress: Progress) -> None:
            if progress.stage == "text" and progress.fraction > 0:
                backend.cancel(progress.id)

        with pytest.raises(UserError) as caught:
            backend.wait(backend.text_to_mesh(PROMPT, tmp_path / "next", _options(weights)), cancel)
        assert caught.value.code == "cancelled" and not (tmp_path / "next").exists() and backend.alive


def test_command_writes_mesh_preview_and_image(text_model, weights, tmp_path):
    flags = f"--weights|{weights}|--text-model|{text_model}|--faces|500|--texture-size|256|--device|cpu|--elevation|20"
    done = subprocess.run(
        [sys.executable, "-m", "backend", "text", PROMPT, *flags.split("|")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    stem = "eine-blaue-Teekanne-außen-1"
    assert {f"{stem}.glb", f"{stem}.png", f"{stem}-picture.png"} <= {path.name for path in tmp_path.iterdir()}
    assert f"{stem}-picture.png" in done.stdout and "Traceback" not in done.stderr


def test_model_is_located_by_name_or_folder(text_model, home, tmp_path):
    other = _install(text_model, home, "aaa")
    assert text_to_image.locate_model("auto") == other
    small = _install(text_model, home, "sd15")
    assert text_to_image.locate_model("auto") == small  # the catalog's come first ...
    default = _install(
        text_model, home, next(name for name, entry in load_catalog().items() if entry.kind == "text-to-image")
    )
    assert text_to_image.locate_model("auto") == default  # ... in its order
    assert text_to_image.locate_model("aaa") == other and text_to_image.locate_model(str(text_model)) == text_model
    for name, way in (("sdxl", "weights fetch sdxl"), ("somebody/model", "hf download somebody/model"), ("a b", "a b")):
        with pytest.raises(UserError, match=f"“{name}” is not on this computer") as caught:
            text_to_image.locate_model(name)
        assert caught.value.code == "weights_missing" and way in caught.value.command


def _cut(model: Path) -> None:
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def _pickle(model: Path) -> None:
    (model / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, model / "vae" / "diffusion_pytorch_model.bin")


def _foreign(model: Path) -> None:
    index = json.loads((model / "model_index.json").read_text())
    (model / "model_index.json").write_text(json.dumps(index | {"_class_name": "DDPMPipeline"}))


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _pickle,
        _foreign,
        lambda model: (model / "model_index.json").unlink(),
        lambda model: (model / "model_index.json").write_text("[1"),
        lambda model: shutil.rmtree(model / "tokenizer"),
        lambda model: (model / "unet" / "config.json").write_text("{}"),
    ],
)
def test_model_that_is_damaged_is_one_clear_sentence(text_model, tmp_path, damage):
    damaged = tmp_path / "model"
    shutil.copytree(text_model, damaged)
    damage(damaged)
    with pytest.raises(UserError, match="install it again") as caught:
        text_to_image.generate_image(damaged, "x", 0, torch.device("cpu"), lambda _: 2, lambda _: None)
    assert caught.value.code == "weights_broken" and str(damaged) in str(caught.value)


def test_image_with_the_best_rating_is_returned(text_model):
    def tried(*ratings: int) -> tuple[Image.Image | None, int]:
        left = list(ratings)
        shares: list[float] = []
        image = text_to_image.generate_image(
            text_model, "x", 0, torch.device("cpu"), lambda _: left.pop(0), shares.append
        )
        assert shares == sorted(shares) and shares[-1] <= 1
        return image, len(left)

    assert tried(2, 2, 2)[1] == 2 and tried(0, 2, 0)[1] == 1 and tried(0, 1, 1)[1] == 0
    with pytest.raises(UserError, match="other words") as caught:
        tried(0, 0, 0)
    assert caught.value.code == "no_object"


def test_folder_in_half_precision_without_a_safety_checker_loads(text_model, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(text_model, half)
    for component in ("unet", "vae", "text_encoder"):
        for path in (half / component).glob("*.safetensors"):
            path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    index = json.loads((half / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (half / "model_index.json").write_text(json.dumps(index))
    image = text_to_image.generate_image(half, "x", 0, torch.device("cpu"), lambda _: 2, lambda _: None)
    assert image.size == (64, 64)


@pytest.mark.parametrize(
    ("box", "whole"),
    [((20, 80, 20, 80), True), ((0, 60, 20, 80), False), ((20, 80, 60, 100), False), ((45, 60, 45, 60), False)],
)
def test_object_is_whole_when_no_border_cuts_it(box, whole):
    top, bottom, left, right = box
    side = int(max(bottom - top, right - left) / 0.75)
    image = np.zeros((side, side, 4), np.float32)
    row, column = side // 2 - (bottom - top) // 2, side // 2 - (right - left) // 2
    image[row : row + bottom - top, column : column + right - left] = 1
    assert text_to_image.shows_whole_object(Cutout(image, "alpha", (left - column, top - row, side)), 100, 100) == whole


def test_view_networks_are_unloaded_before_the_text_model_loads(text_model, weights, tmp_path):
    """One model at a time on the graphics card."""
    pipeline, networks = Pipeline(), []
    options = Options.from_dict(_options(weights, text_model=str(text_model)))
    pipeline.load(options.weights, torch.device("cpu"))
    assert pipeline._networks is not None

    def progress(event: ProgressEvent) -> None:
        if len(networks) == 4:
            raise Cancelled
        networks.append(pipeline._networks)

    with pytest.raises(Cancelled):
        pipeline.text_to_mesh("x", tmp_path / "job", options, progress)
    assert networks[0] is not None and networks[1:] == [None] * 3
