"""What each boundary must do with any input: take it, or refuse it in one sentence. Nothing else, and soon."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import constants
from PIL import Image

from backend import protocol, surface
from backend.data_types import Cutout, Views
from backend.errors import UserError
from backend.io.checkpoint import read_checkpoint
from backend.io.image import MAX_SIDE, load_image
from backend.io.job_folder import FIELD_FILE, REPORT_FILE, VIEWS_FILE, load_state, save_state
from backend.io.tensors import read_tensors, write_tensors
from backend.launch import backend_command
from backend.surface.field import Decoder, VolumeField
from backend.weights.download import list_files
from tests.fuzz.mutations import mutate_bytes, mutate_json

SLOWEST = 10.0
"""Seconds for one case."""
Case = Callable[[random.Random], None]
"""One case; raises UserError where the input is refused."""


def run(name: str, cases: int, seed: int, folder: Path) -> int:
    """Run ``cases`` of a target with files in ``folder``; how many were refused. Raises on the first wrong answer."""
    refused = 0
    with warnings.catch_warnings(), TARGETS[name](folder) as case:
        warnings.simplefilter("ignore")
        for number in range(cases):
            started = time.monotonic()
            try:
                case(random.Random(f"{seed} {number}"))
            except UserError as error:
                refused += 1
                sentence = str(error)
                assert sentence and "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 6000, (
                    sentence
                )
            except BaseException as error:
                error.add_note(f"{name}: seed {seed}, case {number}")
                raise
            assert time.monotonic() - started < SLOWEST, f"{name}: seed {seed}, case {number} is slow"
    return refused


@contextmanager
def picture(folder: Path) -> Iterator[Case]:
    """Image files of every format that is read."""
    rows, columns = np.mgrid[:40, :40]
    pixels = np.stack([rows * 6, columns * 6, rows, (rows > 8) * 255], -1).astype(np.uint8)
    originals = []
    for form in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "TGA"):
        stream = io.BytesIO()
        Image.fromarray(pixels).convert("RGB" if form in ("JPEG", "PPM", "BMP") else "RGBA").save(stream, form)
        originals.append(stream.getvalue())

    def case(chance: random.Random) -> None:
        path = folder / "picture"
        path.write_bytes(mutate_bytes(chance, chance.choice(originals)))
        image = load_image(path)
        assert image.ndim == 3 and image.shape[2] == 4 and max(image.shape) <= MAX_SIDE and np.isfinite(image).all()

    yield case


@contextmanager
def weights(folder: Path) -> Iterator[Case]:
    """Files of tensors: safetensors and pickles."""
    torch.manual_seed(0)
    tensors = {f"layer.{index}.weight": torch.rand(3, 4) for index in range(4)}
    write_tensors(folder / "good.safetensors", tensors, quantize=True)
    torch.save({"state_dict": tensors, "epoch": 3}, folder / "good.ckpt")
    torch.save(tensors, folder / "old.ckpt", _use_new_zipfile_serialization=False)
    originals = [(path.suffix, path.read_bytes()) for path in sorted(folder.glob("*.*"))]

    def case(chance: random.Random) -> None:
        suffix, data = chance.choice(originals)
        path = folder / f"damaged{suffix}"
        path.write_bytes(mutate_bytes(chance, data))
        content = read_tensors(path) if suffix == ".safetensors" else read_checkpoint(path)
        assert isinstance(content, dict)

    yield case


@contextmanager
def job_folder(folder: Path) -> Iterator[Case]:
    """What remeshing starts from: arrays, tensors and the report."""
    torch.manual_seed(0)
    field = VolumeField(torch.rand(2, 4, 6, 6, 6), Decoder(4, 8), 0.6)
    images = np.full((2, 8, 8, 3), 0.5, np.float32)
    poses = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    views = Views(images, images[..., 0], poses, ("input", "0"))
    save_state(folder, field, views, Cutout(np.ones((8, 8, 4), np.float32), "alpha", (0, 0, 8)))
    report = {"device": "cpu", "elevation": {"degrees": 10.0}, "options": {"faces": 500}, "mesh": {"faces": 500}}
    (folder / REPORT_FILE).write_text(json.dumps(report))
    originals = {name: (folder / name).read_bytes() for name in (VIEWS_FILE, FIELD_FILE, REPORT_FILE)}

    def case(chance: random.Random) -> None:
        for name, data in originals.items():
            (folder / name).write_bytes(data)
        name = chance.choice(sorted(originals))
        changed = mutate_bytes(chance, originals[name])
        if name == REPORT_FILE and chance.random() < 0.7:
            changed = json.dumps(mutate_json(chance, report)).encode()
        (folder / name).write_bytes(changed)
        tensors, views, _, _ = load_state(folder)
        rebuilt = surface.field_from_tensors(tensors, folder / FIELD_FILE)
        assert np.isfinite(rebuilt.distance(np.zeros((1, 3), np.float32))).all() and np.isfinite(views.images).all()

    yield case


@contextmanager
def hub(folder: Path) -> Iterator[Case]:
    """Answers of a model hub, over HTTP."""
    large = {"sha256": "0" * 64, "size": 5, "pointerSize": 130}
    files = [{"rfilename": f"unet/{name}", "size": 5, "blobId": "0" * 40, "lfs": large} for name in ("a.json", "b.bin")]
    about = {"id": "a/b", "sha": "0123456789" * 4, "siblings": files, "tags": [], "private": False}
    answer = b""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or every answer waits 40 ms for an acknowledgement

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    earlier, constants.ENDPOINT = constants.ENDPOINT, f"http://127.0.0.1:{server.server_port}"

    def case(chance: random.Random) -> None:
        nonlocal answer
        answer = json.dumps(mutate_json(chance, about)).encode()
        if chance.random() < 0.3:
            answer = mutate_bytes(chance, answer)
        for file in list_files("a/b", ["*"]):
            assert ".." not in file.name.split("/") and file.bytes >= 0 and len(file.revision) >= 40

    try:
        yield case
    finally:
        constants.ENDPOINT = earlier
        server.shutdown()
        server.server_close()


@contextmanager
def protocol_lines(folder: Path) -> Iterator[Case]:
    """Lines to a server: after every one it answers a known request, and it ends at the end of its input."""
    command = backend_command(sys.executable, "serve")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "nonsense",
        "params": {"folder": "/nowhere", "options": {"faces": 3}},
    }
    methods = ("nonsense", "cancel", "remesh", "weights.remove")
    known = 2**40

    def case(chance: random.Random) -> None:
        nonlocal known
        known += 1
        sent = {**message, "method": chance.choice(methods)}
        line = json.dumps(mutate_json(chance, sent)).encode() if chance.random() < 0.7 else protocol.encode(sent)[:-1]
        if chance.random() < 0.5:
            line = mutate_bytes(chance, line)
        line = line.replace(b"shutdown", b"")
        stdin.write(line + b"\n" + protocol.encode(protocol.request(known, "nonsense", {})))
        stdin.flush()
        refusal = None
        while True:
            answer = json.loads(stdout.readline())
            if answer.get("id") == known:
                break
            refusal = answer.get("error") or refusal
        if refusal is not None:
            raise UserError(refusal["data"]["code"], refusal["message"])

    try:
        yield case
    finally:
        stdin.close()
        assert process.wait(30) in (0, 1)
        stdout.close()


TARGETS = {"picture": picture, "protocol": protocol_lines, "weights": weights, "job-folder": job_folder, "hub": hub}
