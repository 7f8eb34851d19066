"""The benchmark as a page (``docs/benchmark.md``) and as text for a terminal."""

from __future__ import annotations

from .goals import goals_table
from .summary import METRICS
from .tables import format_number, mean_tables, method_table, seconds_table, shape_table

GROUP_TITLES = {
    "in_distribution": "New shapes of families trained on",
    "held_out_families": "Families never trained on",
    "real_objects": "Real objects never trained on",
}
HEADER = """\
# Benchmark

Generated from measurements; do not edit. To measure again:

```
python3 -m benchmark quality --objects PACK.npz ... --true-elevation --back --json out/benchmark.json
python3 -m benchmark speed --json out/speed.json
python3 -m benchmark page out/benchmark.json out/speed.json docs/benchmark.md
```
"""
DEFINITIONS = """\
Lengths are in units of the true shape's longest side; distances are from 25,000 points spread over each surface to the
nearest of 100,000 on the other.
The prediction stays where the input camera shows the object: it is not aligned with the true shape, and not scaled.

- **F@t**: harmonic mean of precision and recall at distance t. **Chamfer**: mean of both one-way mean distances.
- **Normals**: mean |cos| between nearest points' normals, both ways. **Volume IoU**: on 128 cells a side.
- **Silhouette IoU**: in the input camera's image.
- **PSNR** (dB): 24 views of 256 x 256 pixels on white, 12 at 30 degrees and 12 at 0 degrees of elevation; the truth
  under its own light, the prediction unlit, because its texture contains the input image's light.
- **Visible, hidden**: the true points (or the pixels that show them) that the input camera sees, or does not see.
- **Color error**: root mean square, in sRGB from 0 to 1, over true points of the difference to the color of the nearest
  predicted point; light as for PSNR.
- **Torn pixels**: holes in the predicted silhouette where the true one is solid, in pixels of an image; the same views.
- **Genus right**: share of the closed true shapes whose number of handles is right within one; of a shape in several
  parts, those that intersect are joined and the largest counts. **Genus error**: how many handles there are too many or
  too few.
- **Procedural shapes** are scenes with an exactly known surface. **Real objects** are textured meshes, framed, turned
  and lit as these are; of their surfaces, what no camera outside sees does not count.
- **Baselines** know the input's silhouette and the pipeline's elevation. **Oracle** (upper bound): the weights' surface
  network and our texture from true views of the plan that the weights have, at the true elevation.
"""


def quality_text(quality: dict) -> str:
    """The means for a terminal."""
    groups = (
        f"{_title(name, group)}\n{mean_tables(group)}\n{_facts(group)}" for name, group in quality["groups"].items()
    )
    return "\n\n".join([*groups, seconds_table(quality["seconds"]), goals_table(quality)])


def speed_text(speed: dict) -> str:
    """Seconds of each stage and peak memory for a terminal."""
    return f"{seconds_table(speed['seconds'])}\n{_memory_and_operations(speed)}"


def quality_page(quality: dict, speed: dict | None = None) -> str:
    """The whole benchmark as a Markdown page, with a section on speed if that was measured."""
    info = quality["run"]
    elevation = info["options"]["elevation"]
    known = "had to be estimated, unless a row says otherwise" if elevation is None else f"was set to {elevation}"
    sections = [
        HEADER,
        f"{_run(info)}\n",
        f"Input: one image of {info['input_size']} pixels a side with an alpha channel; the camera's elevation "
        f"{known}.\n",
        f"## Goals\n\n{goals_table(quality, speed)}\n",
        f"## Definitions\n\n{DEFINITIONS}",
    ]
    for name, group in quality["groups"].items():
        sections.append(f"## {_title(name, group)}\n\n{mean_tables(group)}\n")
        sections.append(f"{_facts(group)}\n")
        for statistic, title in (("median", "Median"), ("p10", "Nine tenths of the shapes are better than")):
            sections.append(f"{title}:\n\n{method_table(group, METRICS, statistic)}\n")
    if speed is not None:
        runs = f"{len(speed['runs'])} images one after the other, networks loaded once"
        sections.append(f"## Speed\n\n{_run(speed['run'])} {runs}.\n\n{seconds_table(speed['seconds'])}\n")
        sections.append(f"{_memory_and_operations(speed)}\n")
    sections.append(f"## Time of the benchmark's own runs\n\n{seconds_table(quality['seconds'])}\n")
    sections.append(f"## Every shape\n\n{shape_table(quality['shapes'])}\n")
    return "\n".join(sections)


def _title(name: str, group: dict) -> str:
    return f"{GROUP_TITLES.get(name, name)} ({group['shapes']} shapes)"


def _facts(group: dict) -> str:
    error = group["elevation_error"]
    return (
        f"Above the best baseline at F@.05: {group['f05_above_best_baseline']:+.3f}. No mesh: {group['failed']}. "
        f"Watertight: {group['watertight']}. True shapes closed: {group['genus_known']}. "
        f"Elevation error: median {format_number(error['median'], 1)}, mean {format_number(error['mean'], 1)} degrees."
    )


def _run(info: dict) -> str:
    options = ", ".join(f"{name} {value}" for name, value in info["options"].items() if value is not None)
    hardware = ", ".join(f"{name} {value}" for name, value in info["hardware"].items() if value is not None)
    return f"Commit {info['commit']}, {info['date']}. Options: {options}. Hardware: {hardware}."


def _memory_and_operations(speed: dict) -> str:
    memory = ", ".join(f"{name} {value:.0f} MiB" for name, value in speed["peak_memory_mib"].items() if value)
    return f"Peak memory: {memory}. Counted for one image: {speed['tflop']:.2f} TFLOP."
