"""What the commands of ``python3 -m benchmark`` do, once the environment is there."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable

from backend import options
from procedural.scene import load_held_out

from .contact_sheet import make_contact_sheet
from .quality import measure_quality
from .real_objects import load_real_objects
from .report import GROUP_TITLES, quality_page, quality_text, speed_text
from .shapes import ProceduralShape, Shape, select_shapes
from .speed import measure_speed
from .summary import VARIANTS, write_json
from .throughput import measure_throughput, throughput_text


def quality(flags: Namespace) -> None:
    shapes = _load_shapes(flags)
    if flags.shapes:
        shapes = select_shapes(shapes, dict.fromkeys(GROUP_TITLES, int(flags.shapes)))
    variants = [name for name, wanted in zip(VARIANTS, (flags.true_elevation, flags.back), strict=True) if wanted]
    measured = measure_quality(options.from_flags(flags), shapes, variants, flags.workers)
    print(quality_text(measured))
    if flags.json:
        write_json(flags.json, measured)
    if flags.markdown:
        flags.markdown.write_text(quality_page(measured), encoding="utf-8")


def sheet(flags: Namespace) -> None:
    make_contact_sheet(options.from_flags(flags), _load_shapes(flags)).save(flags.output, quality=85)
    print(flags.output)


def speed(flags: Namespace) -> None:
    if flags.full_size is not None:
        from .gpu_speed import EXAMPLE_IMAGE, gpu_speed_text, measure_gpu_speed  # imports Shap-E, which takes seconds

        measured = measure_gpu_speed(flags.images[0] if flags.images else EXAMPLE_IMAGE, flags.full_size)
        print(gpu_speed_text(measured))
    else:
        measured = measure_speed(options.from_flags(flags), flags.images)
        print(speed_text(measured))
    if flags.json:
        write_json(flags.json, measured)


def throughput(flags: Namespace) -> None:
    measured = measure_throughput(options.from_flags(flags), flags.pictures, flags.gpus, flags.workers, flags.engine)
    print(throughput_text(measured))
    if flags.json:
        write_json(flags.json, measured)


def page(flags: Namespace) -> None:
    measured = [json.loads(path.read_text(encoding="utf-8")) for path in (flags.quality, flags.speed)]
    flags.output.write_text(quality_page(*measured), encoding="utf-8")


def _load_shapes(flags: Namespace) -> list[Shape]:
    """The procedural shapes, and the objects of the packs that are given."""
    shapes: list[Shape] = [ProceduralShape(scene) for scene in load_held_out()]
    return shapes + (load_real_objects(flags.objects, flags.object_ids) if flags.objects else [])


COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "quality": quality,
    "sheet": sheet,
    "speed": speed,
    "throughput": throughput,
    "page": page,
}
"""The commands by name."""
