"""Compare UV charts: ours against xatlas, on the same meshes (docs/adr/010-texture-charts.md).

    pip install xatlas
    python -m benchmark.charts [MESH.glb ...]

The meshes are the given ones and enough held-out scenes to make MESHES, simplified to FACES faces each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import trimesh
import xatlas  # pyright: ignore[reportMissingImports]
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from backend import meshing, texturing
from backend.data_types import Mesh
from backend.meshing.simplify import simplify_to_budget
from backend.texturing.charts import opposite_sides
from backend.texturing.rasterization import covered_samples
from procedural.scene import load_held_out

MESHES, FACES, RESOLUTION = 20, 20_000, 192
SIZE = 2048
"""Side of the texture in texels."""
GUTTER = 16
"""Texels between charts, as in ``backend/texturing/packing.py``."""


def unwrap_ours(mesh: Mesh) -> np.ndarray:
    return texturing.unwrap(mesh, SIZE)


def unwrap_xatlas(mesh: Mesh) -> np.ndarray:
    """UVs (F, 3, 2) in 0..1 of a single square atlas."""
    atlas = xatlas.Atlas()
    atlas.add_mesh(mesh.vertices, mesh.faces.astype(np.uint32))
    options = xatlas.PackOptions()
    options.resolution, options.padding = SIZE, GUTTER
    atlas.generate(pack_options=options)
    if atlas.atlas_count != 1:
        raise RuntimeError(f"xatlas made {atlas.atlas_count} atlases")
    _, faces, uvs = atlas[0]
    return (uvs * (atlas.width, atlas.height) / max(atlas.width, atlas.height))[faces].astype(np.float32)


def measure(mesh: Mesh, unwrap: Callable[[Mesh], np.ndarray]) -> dict[str, float]:
    """Figures of merit of one mesh's UVs; lengths in units of the mesh's longest side."""
    start = time.perf_counter()
    uvs = unwrap(mesh)
    seconds = time.perf_counter() - start
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    a, b = (uvs[:, k].astype(np.float64) - uvs[:, 0] for k in (1, 2))
    uv_area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    _, column, row = covered_samples(uvs.astype(np.float64) * SIZE)
    layers = np.bincount(row * SIZE + column, minlength=SIZE * SIZE)
    pairs, seam, length = find_seams(mesh, uvs)
    joined = pairs[~seam]
    graph = coo_array((np.ones(len(joined)), tuple(joined.T)), (len(uvs),) * 2)
    density = np.sqrt(np.abs(uv_area) / np.maximum(area, 1e-12))[area > np.quantile(area, 0.01)]
    return {
        "seconds": seconds,
        "texels covered, %": 100 * (layers > 0).mean(),
        "texels in two faces, per million covered": 1e6 * (layers > 1).sum() / (layers > 0).sum(),
        "charts": connected_components(graph, directed=False)[0],
        "seam length": length[seam].sum() / np.ptp(mesh.vertices, axis=0).max(),
        "mirrored faces": int((uv_area < 0).sum()),
        "texel density, p99 / p1": np.quantile(density, 0.99) / np.quantile(density, 0.01),
    }


def find_seams(mesh: Mesh, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of the E edges of a closed mesh its two faces (E, 2), whether they differ in UVs there (E,), and the
    edge's length (E,)."""
    pairs = opposite_sides(mesh.faces) // 3
    at_first, at_second = (mesh.faces[pairs[:, side]] for side in (0, 1))
    match = at_first[:, :, None] == at_second[:, None]  # (E, corner of the first face, corner of the second)
    shared = match.any(2)
    corner = match.argmax(2)
    gap = np.abs(uvs[pairs[:, 0]] - np.take_along_axis(uvs[pairs[:, 1]], corner[..., None], 1)).max(2)
    ends = mesh.vertices[at_first]
    length = np.linalg.norm(
        (ends * np.where(shared, np.cumsum(shared, 1) * 2 - 3, 0)[..., None]).sum(1), axis=1
    )  # the second shared corner less the first
    return pairs, (shared & (gap > 1e-6)).any(1), length


def load_meshes(paths: list[str]) -> dict[str, Mesh]:
    """The meshes to compare, by name."""
    meshes = {}
    for path in paths:
        merged = trimesh.load_mesh(path)
        merged.merge_vertices(merge_tex=True, merge_norm=True)
        meshes[path] = Mesh(merged.vertices.astype(np.float32), merged.faces.astype(np.int32))
    scenes = load_held_out()
    for index in np.linspace(0, len(scenes) - 1, MESHES - len(paths)).round().astype(int):
        meshes[scenes[index].name] = meshing.extract(scenes[index], RESOLUTION, FACES)
    return {name: simplify_to_budget(mesh, FACES) for name, mesh in meshes.items()}


def main(paths: list[str]) -> None:
    methods = {"ours": unwrap_ours, "xatlas": unwrap_xatlas}
    rows = {name: [] for name in methods}
    for name, mesh in load_meshes(paths).items():
        for method, unwrap in methods.items():
            rows[method].append(measure(mesh, unwrap))
            print(name, method, {key: round(float(value), 3) for key, value in rows[method][-1].items()}, flush=True)
    print("| mean (worst) of", len(rows["ours"]), "meshes |", " | ".join(methods), "|")
    print("| --- |", " | ".join("---:" for _ in methods), "|")
    for key in rows["ours"][0]:
        worst = min if key == "texels covered, %" else max
        cells = [[row[key] for row in rows[method]] for method in methods]
        print("|", key, "|", " | ".join(f"{np.mean(cell):.2f} ({worst(cell):.2f})" for cell in cells), "|")


if __name__ == "__main__":
    main(sys.argv[1:])
