"""Make an object pack of a folder of models, so that the starter weights can be fine-tuned on them.

    python -m training.objects FOLDER -o my.npz [--faces 4000] [--up z]

Reads every .glb, .gltf, .obj and .ply file below FOLDER. Models are centered, scaled, reduced to at most ``--faces``
triangles, and their textures and colors collected in one small texture each. Every fiftieth is left to the evaluation
(``object_library.TEST_DIVISOR``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from scipy.spatial import cKDTree
from trimesh.visual import ColorVisuals, TextureVisuals

from objects.pack import TexturedObject, write_pack

SUFFIXES = (".glb", ".gltf", ".obj", ".ply")
ATLAS_SIZE = 256
"""Pixels along a side of an object's texture."""
PALETTE_SIZE = 16
"""Entries along a side of the palette of a model without a texture."""
SAMPLES = 200_000
"""Points of the original surface at which its texture coordinates are looked up."""
SAME_CHART = 0.25
"""Corners of a reduced triangle whose texture coordinates are further apart belong to different charts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PACK.npz")
    parser.add_argument("--faces", type=int, default=4000, help="most triangles of an object (default: 4000)")
    parser.add_argument("--up", choices="yz", default="y", help="the models' axis that points up (default: y)")
    args = parser.parse_args()
    objects = []
    for path in sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        try:
            objects.append(load_object(path, len(objects) + 1, args.faces, args.up))
        except Exception as error:  # the readers raise anything; one bad file must not end the run
            print(f"left out: {path}: {error}", file=sys.stderr, flush=True)
    if not objects:
        sys.exit(f"error: there is no model in {args.folder} that can be read: use {', '.join(SUFFIXES)} files.")
    write_pack(args.output, objects)
    print(f"{args.output}: {len(objects)} objects, {args.output.stat().st_size / 2**20:.2f} MiB")


def load_object(path: Path, id: int, most_faces: int, up: str) -> TexturedObject:
    """One model file as an object of a pack. Raises ValueError for one without a surface; readers raise others."""
    parts = [
        part
        for part in trimesh.load_scene(path, process=False).dump()
        if isinstance(part, trimesh.Trimesh) and len(part.faces)
    ]
    if not parts:
        raise ValueError("it has no triangles")
    cells = int(np.ceil(np.sqrt(len(parts))))
    side = max(ATLAS_SIZE // cells, PALETTE_SIZE)
    atlas = np.zeros((cells * side, cells * side, 3), np.uint8)
    corners, corner_uvs = [], []
    for number, part in enumerate(parts):
        row, column = divmod(number, cells)
        picture, uvs = texture_of(part, side)
        atlas[row * side : (row + 1) * side, column * side : (column + 1) * side] = picture
        corners.append(np.asarray(part.triangles))
        corner_uvs.append((uvs + np.array([column, cells - 1 - row])) / cells)
    triangles, uvs = reduce_faces(np.concatenate(corners), np.concatenate(corner_uvs), most_faces)
    vertices = triangles.reshape(-1, 3)
    if up == "y":
        vertices = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1]], -1)
    low, high = vertices.min(0), vertices.max(0)
    if not np.isfinite(vertices).all() or (high - low).max() <= 0:
        raise ValueError("its size is zero or not finite")
    vertices = (vertices - (low + high) / 2) * (2 / (high - low).max())
    welded, faces = np.unique(vertices.astype(np.float32).round(4), axis=0, return_inverse=True)
    places, uv_faces = np.unique(uvs.reshape(-1, 2).clip(0, 1).astype(np.float32), axis=0, return_inverse=True)
    return TexturedObject(
        id, welded, faces.reshape(-1, 3).astype(np.int32), places, uv_faces.reshape(-1, 3).astype(np.int32), atlas
    )


def texture_of(part: trimesh.Trimesh, side: int) -> tuple[np.ndarray, np.ndarray]:
    """What a mesh looks like: a picture (side, side, 3) uint8, and the texture coordinates (F, 3, 2) in 0..1 of its
    corners, v upward."""
    visual = part.visual
    if isinstance(visual, TextureVisuals) and visual.uv is not None:
        image = _base_color(visual.material)
        uvs = np.asarray(visual.uv, np.float64)[part.faces]
        uvs -= np.floor(uvs.mean(1, keepdims=True))  # repeated textures: into the first copy
        inset = 0.5 / side
        picture = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BOX))
        return picture, uvs.clip(0, 1) * (1 - 2 * inset) + inset
    colors = visual.to_color() if isinstance(visual, TextureVisuals) else visual
    assert isinstance(colors, ColorVisuals)
    row = Image.fromarray(np.ascontiguousarray(colors.face_colors[None, :, :3], dtype=np.uint8))
    indexed = row.quantize(PALETTE_SIZE**2)
    palette = np.zeros((PALETTE_SIZE**2, 3), np.uint8)
    entries = np.array(indexed.getpalette(), np.uint8).reshape(-1, 3)[: len(palette)]
    palette[: len(entries)] = entries
    picture = Image.fromarray(palette.reshape(PALETTE_SIZE, PALETTE_SIZE, 3))
    rows, columns = np.divmod(np.asarray(indexed)[0], PALETTE_SIZE)
    centers = np.stack([columns + 0.5, PALETTE_SIZE - 0.5 - rows], -1) / PALETTE_SIZE
    return np.asarray(picture.resize((side, side), Image.Resampling.NEAREST)), np.repeat(centers[:, None], 3, 1)


def reduce_faces(triangles: np.ndarray, uvs: np.ndarray, most_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (F, 3, 3) and texture coordinates (F, 3, 2) -> the same of at most ``most_faces`` triangles."""
    if len(triangles) <= most_faces:
        return triangles, uvs
    original = trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), process=False)
    welded = original.copy()
    welded.merge_vertices()
    reduced = welded.simplify_quadric_decimation(face_count=most_faces)
    corners = np.asarray(reduced.triangles)
    # Looked up a little inside, so that a corner on a seam takes its triangle's side of it.
    inside = 0.95 * corners + 0.05 * corners.mean(1, keepdims=True)
    points, face = trimesh.sample.sample_surface(original, SAMPLES, seed=0)[:2]
    weights = trimesh.triangles.points_to_barycentric(triangles[face], points)
    sampled_uvs = (np.nan_to_num(weights, nan=1 / 3)[..., None] * uvs[face]).sum(1)
    nearest = cKDTree(points).query(np.concatenate([inside.reshape(-1, 3), corners.mean(1)]))[1]
    found = sampled_uvs[nearest]
    at_corners, at_center = found[: 3 * len(corners)].reshape(-1, 3, 2), found[3 * len(corners) :]
    torn = np.ptp(at_corners, axis=1).max(1) > SAME_CHART
    return corners, np.where(torn[:, None, None], at_center[:, None], at_corners)


def _base_color(material) -> Image.Image:
    """A material's texture times its color, or its color alone."""
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    factor = getattr(material, "baseColorFactor", None)
    if image is None:
        return Image.new("RGB", (1, 1), tuple(int(value) for value in material.main_color[:3]))
    if factor is None:
        return image
    shade = np.asarray(factor, np.float64)[:3]
    shade = shade / 255 if shade.max() > 1 else shade
    return Image.fromarray((np.asarray(image.convert("RGB")) * shade).astype(np.uint8))


if __name__ == "__main__":
    main()
