"""Fetching from a model hub: a small one of our own answers on this computer, huggingface_hub talks to it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from huggingface_hub import constants, hf_hub_download

from backend.__main__ import main
from tests.helpers.checkpoints import view_modules, write_diffusers, write_surface_checkpoint
from tests.helpers.paths import ROOT

COMMIT = "0123456789abcdef" * 2 + "01234567"
SURFACE_FILE = "SparseNeuS_demo_v1/exp/lod0/checkpoints/ckpt_215000.pth"


class Hub:
    """Serves repositories (id -> name -> content) in the hub's own protocol, as far as downloads need it."""

    def __init__(self):
        self.repos: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.budget: int | None = None
        """Bytes of files after which every connection breaks."""
        self.lies = False
        """Whether files are other than their hash says."""
        self.ranges: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                path = self.path.partition("?")[0].strip("/").split("/")
                repo = "/".join(path[2:4] if path[:2] == ["api", "models"] else path[:2])
                if repo in hub.gated:
                    self.send_response(403)
                    self.send_header("X-Error-Code", "GatedRepo")
                    self.end_headers()
                elif repo not in hub.repos:
                    self.send_response(404)
                    self.send_header("X-Error-Code", "RepoNotFound")
                    self.end_headers()
                elif path[0] == "api":
                    self.send(json.dumps(hub.about(repo)).encode(), body, {})
                else:
                    content = hub.repos[repo]["/".join(path[4:])]
                    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
                    self.send(b"?" + content[1:] if hub.lies else content, body, headers)

            def send(self, content: bytes, body: bool, headers: dict[str, str]) -> None:
                asked = self.headers.get("Range")
                if asked and body:
                    hub.ranges.append(asked)
                    content = content[int(asked.removeprefix("bytes=").rstrip("-")) :]
                self.send_response(206 if asked else 200)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if body:
                    if (asked is None and "X-Repo-Commit" not in headers) or hub.budget is None:
                        self.wfile.write(content)
                    else:
                        self.wfile.write(content[: hub.budget])
                        hub.budget = max(0, hub.budget - len(content))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def about(self, repo: str) -> dict:
        files = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": "0" * 40,
                "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130},
            }
            for name, content in self.repos[repo].items()
        ]
        return {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": files, "private": False}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hub():
    hub = Hub()
    yield hub
    hub.close()


class Done(NamedTuple):
    status: int
    out: str
    err: str


class WeightsCommand:
    """Runs the command ``weights`` in this process."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]):
        self.home = home
        """The folder of the installed weights."""
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Done:
        self._capsys.readouterr()
        return Done(main(["weights", *arguments]), *self._capsys.readouterr())


@pytest.fixture
def weights(hub, tmp_path, monkeypatch, capsys) -> WeightsCommand:
    """The command with a data folder of its own and our hub; huggingface_hub has read its variables long ago."""
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the test's own handlers stay
    return WeightsCommand(tmp_path / "home" / "weights", capsys)


def refused(done: Done) -> str:
    """The one sentence of a failed run."""
    assert done.status == 1 and "Traceback" not in done.err, done.err
    (sentence,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    return sentence


def test_download_that_broke_is_continued_and_a_wrong_one_deleted(hub, weights, tmp_path):
    file = write_surface_checkpoint(tmp_path / "ckpt", moments=16_000_000)
    hub.repos["One-2-3-45/code"] = {SURFACE_FILE: file.read_bytes(), "zero123-xl.ckpt": b"not asked for"}
    hub.repos["kornia/loftr"] = {"loftr_indoor_ds_new.ckpt": b"not the published file"}
    hub.budget = 12_000_000
    assert "continues where it stopped" in refused(weights("fetch", "one2345"))
    assert not (weights.home / "one2345").exists()
    (partial,) = weights.home.rglob("*.incomplete")
    size = partial.stat().st_size
    assert size >= 10_000_000  # it is written in pieces of this size
    hub.budget, hub.ranges = None, []
    done = weights("fetch", "one2345")
    assert done.status == 0, done.err
    assert "license: MIT" in done.err and "Downloading" in done.err
    assert hub.ranges == [f"bytes={size}-"]
    assert json.loads((weights.home / "one2345" / "weights.json").read_text())["source"].endswith(COMMIT)
    assert [path.name for path in weights.home.iterdir()] == ["one2345"]

    sentence = refused(weights("fetch", "loftr"))
    assert "loftr_indoor_ds_new.ckpt" in sentence and "deleted" in sentence
    assert not [path for path in weights.home.rglob("*") if path.is_file() and "one2345" not in path.parts]


def test_hash_that_the_hub_states_is_checked_too(hub, weights, tmp_path):
    hub.repos["One-2-3-45/code"] = {SURFACE_FILE: b"x" * 1000}
    hub.lies = True
    assert "expected sha256" in refused(weights("fetch", "one2345"))
    assert not [path for path in weights.home.rglob("*") if path.is_file()]


def test_view_model_is_fetched_with_what_it_needs_and_in_one_precision(hub, weights, tmp_path):
    modules = view_modules()
    source = write_diffusers(tmp_path / "source", modules)
    for name, stem in (("unet", "diffusion_pytorch_model"), ("image_encoder", "model")):
        plain = source / name / f"{stem}.safetensors"
        plain.with_name(f"{stem}.fp16_ema.safetensors").write_bytes(plain.read_bytes())
    files = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    hub.repos["bennyguo/zero123-xl-diffusers"] = files
    hub.repos["One-2-3-45/code"] = {SURFACE_FILE: write_surface_checkpoint(tmp_path / "ckpt").read_bytes()}
    (weights.home / "loftr").mkdir(parents=True)  # its hash is known, so no other file could come from here
    about = {"kind": "matcher", "source": "", "license": "", "files": {}}
    (weights.home / "loftr" / "weights.json").write_text(json.dumps(about))
    done = weights("fetch", "zero123-xl")
    assert done.status == 0, done.err
    assert (weights.home / "one2345" / "surface").is_dir()
    unet = weights.home / "zero123-xl" / "view" / "unet"
    assert sorted(path.name for path in unet.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert done.err.count("fp16_ema.safetensors") >= 2 and "model_index" not in done.err
    assert weights("verify").out.count(": good") == 3


def test_cache_is_used_without_a_connection(hub, weights, tmp_path, monkeypatch):
    hub.repos["One-2-3-45/code"] = {SURFACE_FILE: write_surface_checkpoint(tmp_path / "ckpt").read_bytes()}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "could not be reached" in refused(weights("fetch", "one2345"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hf_hub_download("One-2-3-45/code", SURFACE_FILE, cache_dir=tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    done = weights("fetch", "one2345")
    assert done.status == 0, done.err
    assert list((tmp_path / "cache").rglob("ckpt_215000.pth"))  # the cache keeps its own
    assert "could not be reached" in refused(weights("fetch", "zero123-xl"))


def test_variables_of_huggingface_hub_are_respected(hub, tmp_path):
    hub.gated.add("kornia/loftr")
    variables = {"IMAGE_TO_MESH_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.address, "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "backend", "weights", "fetch", "loftr"]
    done = subprocess.run(call, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=120)
    assert "accept its license" in refused(Done(done.returncode, done.stdout, done.stderr))


def test_license_to_be_accepted_and_missing_repository_are_one_sentence(hub, weights):
    hub.repos["One-2-3-45/code"] = {}
    hub.gated.add("stabilityai/stable-zero123")
    assert "has none of the required files" in refused(weights("fetch", "one2345"))
    (weights.home / "one2345").mkdir(parents=True)
    about = {"kind": "surface", "source": "", "license": "", "files": {}}
    (weights.home / "one2345" / "weights.json").write_text(json.dumps(about))
    done = weights("fetch", "stable-zero123")
    assert "non-commercial" in done.err and "accept its license" in refused(done)
    assert "no repository kornia/loftr" in refused(weights("fetch", "loftr"))
