"""``python -m backend benchmark quality`` (``sheet``, ``speed``): the real pipeline from file to file."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from backend import camera, meshing, options, surface, texturing
from backend.config import resolve_options
from backend.device import choose_device
from backend.errors import UserError
from backend.options import Options
from backend.pipeline import Pipeline
from backend.preprocessing import foreground
from backend.types import Cutout, Mesh, SurfaceModel, TexturedMesh, Views
from backend.weights.resolve import locate_weights
from procedural.scene import load_held_out

from . import contact_sheet, report
from .baselines import floors
from .ground_truth import Truth, on_white, score
from .ground_truth import choose as choose_scenes

PICTURE_SIZE = 512
"""Pixels along a side of the input pictures."""


def main(arguments: Sequence[str]) -> int:
    """Run ``quality`` or ``speed`` as the command line asks; the exit status. Raises UserError."""
    flags = _parser().parse_args(arguments)
    return flags.run(flags)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend benchmark", description="Measure on held-out shapes.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    quality = kinds.add_parser("quality", help="how near the results come to the true shapes")
    quality.add_argument("--shapes", type=int, metavar="N", help="judge N shapes of each group only (default: all)")
    quality.add_argument("--json", type=Path, metavar="OUT", help="write every number")
    quality.add_argument("--markdown", type=Path, metavar="OUT", help="write the tables")
    quality.add_argument(
        "--true-elevation", action="store_true", help="tell the pipeline how high each camera stood (reported apart)"
    )
    options.add_flags(quality)
    quality.set_defaults(run=_quality)
    sheet = kinds.add_parser("sheet", help="one picture of 24 held-out shapes: input, views, mesh, texture")
    sheet.add_argument("output", type=Path, metavar="OUT.jpg")
    options.add_flags(sheet)
    sheet.set_defaults(run=_sheet)
    speed = kinds.add_parser("speed", help="time of every stage and peak memory")
    speed.add_argument("pictures", nargs="*", type=Path, metavar="PICTURE", help="default: five held-out shapes")
    speed.add_argument("--json", type=Path, metavar="OUT", help="write every number")
    options.add_flags(speed)
    speed.set_defaults(run=_speed)
    return parser


def _quality(flags: argparse.Namespace) -> int:
    chosen = options.from_flags(flags)
    scenes = load_held_out()
    if flags.shapes:
        scenes = choose_scenes(scenes, dict.fromkeys(report.GROUPS, flags.shapes))
    setting = report.setting(chosen, PICTURE_SIZE, flags.true_elevation)  # now: the code may change meanwhile
    network = surface.load(locate_weights(chosen.weights) / "surface", choose_device(chosen.device))
    pipeline = Pipeline()
    results = []
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as temporary:
        for number, scene in enumerate(scenes, 1):
            if flags.true_elevation:
                chosen = replace(chosen, elevation=scene.elevation)
            result = judge(Truth(scene), pipeline, network, chosen, Path(temporary) / str(number))
            results.append(result)
            told = result.get("failed") or f"F@.05 {result['methods']['ours']['f05']:.3f}"
            print(f"{number}/{len(scenes)} {scene.name}: {told}", file=sys.stderr, flush=True)
    whole = {
        "setting": setting,
        "groups": report.summarize(results),
        "seconds": report.times([result["seconds"] for result in results if "seconds" in result]),
        "shapes": results,
    }
    print(report.table(whole))
    if flags.json:
        flags.json.write_text(json.dumps(report.plain(whole), indent=1) + "\n", encoding="utf-8")
    if flags.markdown:
        flags.markdown.write_text(report.markdown(whole), encoding="utf-8")
    return 0


def _sheet(flags: argparse.Namespace) -> int:
    chosen = options.from_flags(flags)
    pipeline = Pipeline()
    rows = {}
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as temporary:
        for scene in choose_scenes(load_held_out(), contact_sheet.SHAPES):
            folder = Path(temporary) / scene.name
            folder.mkdir()
            write_picture(Truth(scene), folder / "input.png")
            try:
                pipeline.generate(folder / "input.png", folder, chosen, _silent, _never)
            except UserError as error:
                print(f"{scene.name}: {error}", file=sys.stderr, flush=True)
                continue
            rows.setdefault(scene.group, []).append(contact_sheet.row(folder, read_result(folder)))
    contact_sheet.draw(rows).save(flags.output, quality=85)
    print(flags.output)
    return 0


def _speed(flags: argparse.Namespace) -> int:
    chosen = options.from_flags(flags)
    pipeline = Pipeline()
    seconds = []
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as temporary:
        place = Path(temporary)
        for number, picture in enumerate(flags.pictures or _held_out_pictures(place)):
            started = time.perf_counter()
            job = pipeline.generate(picture, place / str(number), chosen, _silent, _never)
            whole = time.perf_counter() - started
            seconds.append(job["report"]["seconds"] | {"total": round(whole, 3)})
            print(f"{picture.name}: {whole:.1f} s", file=sys.stderr, flush=True)
    found = {
        "setting": report.setting(chosen, PICTURE_SIZE, False),
        "seconds": report.times(seconds),
        "peak_memory_mib": report.peak_memory(),
        "runs": seconds,
    }
    print(report.speed_table(found))
    if flags.json:
        flags.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def judge(truth: Truth, pipeline: Pipeline, network: SurfaceModel, chosen: Options, folder: Path) -> dict:
    """One scene through the real pipeline; ``folder`` receives the job.

    Returns the scene's names, elevations, seconds, and the numbers of ``ours``, of the floors and of the ceiling, which
    uses ``network``. Where the pipeline gave up, ``failed`` says why and ``ours`` is missing.
    """
    scene = truth.scene
    result = {"name": scene.name, "family": scene.family, "group": scene.group, "elevation": scene.elevation}
    folder.mkdir(parents=True)
    picture = write_picture(truth, folder / "input.png")
    methods = {}
    try:
        job = pipeline.generate(folder / "input.png", folder, chosen, _silent, _never)["report"]
    except UserError as error:
        assumed = truth.pose
        result["failed"] = str(error)
    else:
        assumed = np.array(job["camera"]["camera_to_world"])
        back = in_picture(assumed, truth.pose, job["camera"]["canvas"], PICTURE_SIZE)
        methods["ours"] = score(truth, moved(read_result(folder), back))
        result |= {"elevation_found": job["elevation"], "seconds": job["seconds"]}
    frame = (0.0, 0.0, float(PICTURE_SIZE))
    for name, floor in floors(picture, assumed).items():
        methods[name] = score(truth, moved(floor, in_picture(assumed, truth.pose, frame, PICTURE_SIZE)))
    whole = Cutout(picture, "alpha", frame)
    with contextlib.suppress(UserError):  # no surface at all: it counts as no mesh
        methods["ceiling"] = score(truth, build(network, true_views(truth, whole, network.image_size), whole, chosen))
    return result | {"methods": methods}


def write_picture(truth: Truth, path: Path) -> np.ndarray:
    """The input picture as an RGBA file, returned as it will be read again: (S, S, 4) float32."""
    stored = np.round(truth.picture(PICTURE_SIZE) * 255).astype(np.uint8)
    Image.fromarray(stored).save(path)
    return stored.astype(np.float32) / 255


def true_views(truth: Truth, cutout: Cutout, size: int) -> Views:
    """What a perfect view model would have made: the full 8 + 32 plan, rendered from the truth."""
    polar = 90.0 - truth.scene.elevation
    moves = {"input": (0.0, 0.0)}
    for name, *move in (*camera.FIRST_RING, *camera.second_ring(polar)):
        moves[name] = tuple(move)
        for index, change in enumerate(camera.NEIGHBORS):
            moves[f"{name}_{index}"] = tuple(np.add(move, change))
    changes = np.array(list(moves.values()))
    poses = camera.camera_to_world(polar + changes[:, 0], changes[:, 1])
    pictures = truth.pictures(poses, size)
    images = np.stack([foreground.composite_on_white(cutout, size), *map(on_white, pictures[1:])]).astype(np.float32)
    masks = np.stack([foreground.resize_alpha(cutout, size), *pictures[1:, ..., 3]])
    return Views(images, masks, poses, tuple(moves))


def build(network: SurfaceModel, views: Views, cutout: Cutout, chosen: Options) -> TexturedMesh:
    """The second half of the pipeline alone: views -> textured mesh."""
    field = network.reconstruct(views)
    resolution = resolve_options(chosen, choose_device(chosen.device).type).resolution
    return texturing.bake(meshing.extract(field, resolution, chosen.faces), field, views, cutout, chosen.texture_size)


def read_result(folder: Path) -> TexturedMesh:
    """The textured mesh that a job left in its folder."""
    with np.load(folder / "mesh.npz") as arrays:
        shape, uvs = Mesh(arrays["vertices"], arrays["faces"]), arrays["uvs"]
    pictures = {name: np.asarray(Image.open(folder / f"{name}.png")) for name in ("texture", "confidence")}
    return TexturedMesh(shape, uvs, pictures["texture"], pictures["confidence"])


def in_picture(assumed: np.ndarray, pose: np.ndarray, canvas: Sequence[float], size: int) -> np.ndarray:
    """From the world that the pipeline assumed to the true one, as far as the input picture ties them: (4, 4).

    Both poses (4, 4) name the same camera, whose elevation the pipeline may have mistaken; and the canvas (left, top,
    side in pixels of the picture) was filled by the object, which in the picture may be smaller and off the center.
    Nothing here looks at the shape.
    """
    left, top, side = canvas
    share = side / size
    across, down = (left + side / 2) / size - 0.5, (top + side / 2) / size - 0.5
    within = np.diag([share, share, share, 1.0])
    within[:3, 3] = camera.RADIUS * np.array([across / camera.FOCAL, -down / camera.FOCAL, share - 1])
    return pose.astype(np.float64) @ within @ np.linalg.inv(assumed.astype(np.float64))


def moved(textured: TexturedMesh, transform: np.ndarray) -> TexturedMesh:
    """The same mesh under a similarity (4, 4)."""
    vertices = textured.mesh.vertices @ transform[:3, :3].T + transform[:3, 3]
    return replace(textured, mesh=Mesh(vertices.astype(np.float32), textured.mesh.faces))


def _held_out_pictures(place: Path) -> list[Path]:
    pictures = []
    for scene in load_held_out()[:5]:
        pictures.append(place / f"{scene.name}.png")
        write_picture(Truth(scene, resolution=96), pictures[-1])
    return pictures


def _silent(*_args, **_kwargs) -> None:
    pass


def _never() -> bool:
    return False
