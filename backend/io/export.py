"""A textured mesh -> files."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from ..config import ROUGHNESS
from ..data_types import TexturedMesh
from .job_folder import REPORT_FILE
from .outputs import GLB_GENERATOR, PREVIEW, png_mark

Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
"""World (Z up) to glTF (Y up): (x, y, z) -> (x, z, -y), a rotation without reflection."""
NAME = "Image to Mesh"
PNG_LEVEL = 4
"""Of zlib: the default takes twice as long for files that are a twelfth smaller."""


def write_mesh(folder: Path, textured: TexturedMesh) -> dict[str, str]:
    """Write mesh.glb, mesh.npz, texture.png and confidence.png into an existing folder: names by what they are.

    An OSError (a full disk) is not caught: the caller passes a folder that is renamed when all files are complete.
    """
    mesh = textured.mesh
    texture = _encode(textured.texture)
    (folder / "mesh.glb").write_bytes(_to_glb(textured, texture))
    np.savez(folder / "mesh.npz", vertices=mesh.vertices, faces=mesh.faces, uvs=textured.uvs)
    (folder / "texture.png").write_bytes(texture)
    Image.fromarray(textured.confidence).save(folder / "confidence.png", compress_level=PNG_LEVEL)
    return {"glb": "mesh.glb", "mesh": "mesh.npz", "texture": "texture.png", "confidence": "confidence.png"}


def write_report(folder: Path, preview: np.ndarray, report: dict) -> dict[str, str]:
    """Write preview.png, from (H, W, 3) uint8, and report.json, from plain values; otherwise as ``write_mesh``."""
    Image.fromarray(preview).save(folder / "preview.png", pnginfo=png_mark(PREVIEW), compress_level=PNG_LEVEL)
    # A name that is no UTF-8 has surrogates, which become JSON's own escapes.
    content = json.dumps(report, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace")
    (folder / REPORT_FILE).write_bytes(content)
    return {"preview": "preview.png", "report": REPORT_FILE}


def to_trimesh(textured: TexturedMesh) -> trimesh.Trimesh:
    """The mesh with normals, UVs and a PBR material, in glTF's axes (Y up); vertices are doubled at UV seams only."""
    return _to_trimesh(textured, Image.fromarray(textured.texture))


def _to_trimesh(textured: TexturedMesh, texture: Image.Image | _EncodedImage) -> trimesh.Trimesh:
    """``to_trimesh`` with this image as the material's."""
    mesh = textured.mesh
    normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals
    corners = np.column_stack([mesh.faces.reshape(-1, 1), textured.uvs.reshape(-1, 2)])
    order = np.lexsort(corners.T[::-1])  # what np.unique(axis=0) does takes six times as long
    ordered = corners[order]
    is_new = np.r_[True, (ordered[1:] != ordered[:-1]).any(1)]
    faces = np.empty(len(corners), int)
    faces[order] = np.cumsum(is_new) - 1
    distinct = ordered[is_new]
    vertex = distinct[:, 0].astype(int)
    material = PBRMaterial(
        name=NAME,
        baseColorTexture=texture,
        metallicFactor=0.0,
        roughnessFactor=ROUGHNESS,
    )
    return trimesh.Trimesh(
        mesh.vertices[vertex] @ Y_UP.T,
        faces.reshape(-1, 3),
        vertex_normals=normals[vertex] @ Y_UP.T,
        visual=TextureVisuals(uv=distinct[:, 1:], material=material),
        process=False,
        metadata={"name": NAME},
    )


def to_glb(textured: TexturedMesh) -> bytes:
    """A binary glTF 2.0 with the texture inside."""
    return _to_glb(textured, _encode(textured.texture))


def _to_glb(textured: TexturedMesh, texture: bytes) -> bytes:
    """``to_glb`` with the texture as the bytes of a PNG file."""

    def mark(tree: dict) -> None:
        tree["asset"]["generator"] = GLB_GENERATOR

    mesh = _to_trimesh(textured, _EncodedImage(texture))
    content = mesh.export(file_type="glb", include_normals=True, tree_postprocessor=mark)
    assert isinstance(content, bytes)
    return content


class _EncodedImage:
    """What trimesh needs of an image: encoding one takes longer than all else that is written."""

    format = "PNG"

    def __init__(self, content: bytes):
        self._content = content

    def save(self, file: BinaryIO, format: str) -> None:
        file.write(self._content)


def _encode(image: np.ndarray) -> bytes:
    """An image (H, W, 3) uint8 as the bytes of a PNG file."""
    content = BytesIO()
    Image.fromarray(image).save(content, "PNG", compress_level=PNG_LEVEL)
    return content.getvalue()
