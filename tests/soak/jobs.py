"""The kinds of jobs of a soak: what is sent to the server, and how it must end."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backend.locks import exclusive_lock, refuse
from backend.paths import LOCK
from tests.fuzz.mutations import mutate_bytes
from tests.helpers import tiny
from tests.helpers.backend_process import save_disc, small_options
from tests.helpers.photographs import photograph
from tests.soak.server import Server

STAGES = ("picture", "load", "views", "surface", "mesh", "texture", "export")
REFUSED = (
    b"nonsense",
    b"[" * 5000,
    b'{"jsonrpc":"2.0","method":"cancel"}',
    b'{"jsonrpc":"2.0","id":[1],"method":"load"}',
    b"x" * 3_000_000,
)
PROMPT = "a blue teapot"


@dataclass(frozen=True)
class Workplace:
    """What the jobs of a soak share."""

    server: Server
    chance: random.Random
    sources: Path
    """Pictures, weights, and a finished job's folder: copied before anything in there is changed."""
    jobs: Path
    """Where job folders are made."""

    @property
    def disc(self) -> Path:
        return next(self.sources.glob("*.png"))

    def options(self, **more) -> dict:
        return small_options(self.sources / "weights", elevation=20.0) | more

    def generate(self, cancel_at: str | None = None, **params) -> str:
        """Generate the disc in a folder that nobody else uses, with other ``params``; how it ended."""
        usual = {"image": str(self.disc), "folder": str(self.jobs / "job"), "options": self.options()}
        return self.server.request("generate", usual | params, cancel_at)


def write_sources(folder: Path) -> None:
    """All files of ``Workplace.sources`` but the finished job."""
    folder.mkdir()
    save_disc(folder)
    tiny.write_weights(folder / "weights")
    tiny.write_text_model(folder / "text model")
    scene = photograph("mug", "room").image[..., :3]
    Image.fromarray((scene * 255).astype("uint8")).save(folder / "photograph.jpg")


def _ends(cancel_at: str | None) -> tuple[str, ...]:
    """How a good job may end that is cancelled at this stage; in the last one it may be too late."""
    return ("result",) if cancel_at is None else ("cancelled", "result") if cancel_at == "export" else ("cancelled",)


def _good(work: Workplace) -> None:
    assert work.generate(options=work.options(elevation=None)) == "result"


def _photograph(work: Workplace) -> None:
    image = str(work.sources / "photograph.jpg")
    cutout = {"image": image, "folder": str(work.jobs / "job"), "options": work.options()}
    assert work.server.request("cutout", cutout) == "result"
    assert work.generate(image=image, views={"back": str(work.disc)}, show_views=True) == "result"


def _cancelled(work: Workplace) -> None:
    stage = work.chance.choice(STAGES)
    assert work.generate(stage) in _ends(stage)


def _cancelled_while_it_waits(work: Workplace) -> None:
    params = {"image": str(work.disc), "folder": str(work.jobs / "job"), "options": work.options()}
    first, second = (work.server.begin("generate", params) for _ in range(2))
    work.server.cancel(second)
    assert work.server.end(second) == "cancelled"
    assert work.server.end(first) == "result"


def _text(work: Workplace) -> None:
    model = str(work.sources / "text model")
    params = {"prompt": PROMPT, "folder": str(work.jobs / "job"), "options": work.options(text_model=model)}
    cancel_at = work.chance.choice((None, "text", "views"))
    assert work.server.request("text_to_mesh", params, cancel_at) in _ends(cancel_at)


def _damaged_picture(work: Workplace) -> None:
    path = work.jobs / "damaged.png"
    path.write_bytes(mutate_bytes(work.chance, work.disc.read_bytes()))
    assert work.generate(image=str(path)) in ("bad_image", "no_object", "result")


def _missing_picture(work: Workplace) -> None:
    assert work.generate(image=str(work.jobs / "missing.png")) == "bad_image"


def _unwritable_folder(work: Workplace) -> None:
    (work.jobs / "file").write_text("")
    place = work.chance.choice((work.jobs / "file" / "job", Path("/proc/job"), work.jobs / ("x" * 300)))
    assert work.generate(folder=str(place)) in ("bad_output", "no_permission")


def _wrong_options(work: Workplace) -> None:
    wrong = work.chance.choice(({"faces": 3}, {"color": 1}, {"device": "mps"}, {"weights": "none"}))
    assert work.generate(options=work.options(**wrong)) in ("bad_option", "no_device", "weights_missing")


def _damaged_weights(work: Workplace) -> None:
    weights = shutil.copytree(work.sources / "weights", work.jobs / "weights")
    path = work.chance.choice([*weights.rglob("*.safetensors"), *weights.rglob("*.json")])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert work.generate(options=work.options(weights=str(weights))).startswith("weights")


def _remesh(work: Workplace) -> None:
    folder = shutil.copytree(work.sources / "finished", work.jobs / "job")
    cancel_at = work.chance.choice((None, "load", "mesh", "texture", "export"))
    params = {"folder": str(folder), "options": {"faces": work.chance.randint(500, 3000), "texture_size": 512}}
    assert work.server.request("remesh", params, cancel_at) in _ends(cancel_at)


def _remesh_of_a_damaged_job(work: Workplace) -> None:
    folder = shutil.copytree(work.sources / "finished", work.jobs / "job")
    path = folder / work.chance.choice(("views.npz", "report.json", "field.safetensors"))
    path.write_bytes(path.read_bytes()[: work.chance.randrange(path.stat().st_size)])
    params = {"folder": str(folder), "options": {"faces": 500, "texture_size": 256}}
    assert work.server.request("remesh", params) == "no_state"


def _rebuild(work: Workplace) -> None:
    report = json.loads((work.sources / "finished" / "report.json").read_text(encoding="utf-8"))
    params = {"source": str(work.sources / "finished"), "folder": str(work.jobs / "job"), "options": report["options"]}
    changes = work.chance.choice(({"2": {"seed": 4}}, {"5": "drop"}, {"nonsense": "drop"}))
    assert work.server.request("rebuild", params | {"changes": changes}) in ("result", "bad_option")


def _folder_in_use(work: Workplace) -> None:
    folder = work.jobs / "job"
    folder.mkdir()
    with exclusive_lock(folder / LOCK, refuse("")):
        assert work.generate() == "busy"
    params = {"image": str(work.disc), "folder": str(folder), "options": work.options()}
    assert [work.server.end(work.server.begin("generate", params)) for _ in range(2)] == ["result", "result"]


def _malformed_messages(work: Workplace) -> None:
    for line in REFUSED:
        assert work.server.refusal(line) == "bad_request"
    assert work.server.request("nonsense", {}) == "bad_request"
    assert work.server.request("generate", {"image": 3}) == "bad_request"


def _weights(work: Workplace) -> None:
    assert work.server.request("weights.add", {"path": str(work.sources / "weights"), "name": "added"}) == "result"
    assert work.generate(options=work.options(weights="added")) == "result"
    assert work.server.request("weights.add", {"path": str(work.disc), "name": "other"}).startswith("weights")
    assert work.server.request("weights.remove", {"name": "added"}) == "result"
    assert work.server.request("weights.remove", {"name": "added"}) == "weights_missing"


KINDS: tuple[Callable[[Workplace], None], ...] = (
    _good, _photograph, _cancelled, _cancelled, _cancelled_while_it_waits, _text, _damaged_picture, _missing_picture,
    _unwritable_folder, _wrong_options, _damaged_weights, _remesh, _remesh_of_a_damaged_job, _rebuild, _folder_in_use,
    _malformed_messages, _weights,
)  # fmt: skip
"""In every round each of these once, in an order by chance."""
