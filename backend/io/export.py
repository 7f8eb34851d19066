"""A textured mesh -> files."""

from __future__ import annotations

import json
from pathlib import Path

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


def write_mesh(folder: Path, textured: TexturedMesh) -> dict[str, str]:
    """Write mesh.glb, mesh.npz, texture.png and confidence.png into an existing folder: names by what they are.

    An OSError (a full disk) is not caught: the caller passes a folder that is renamed when all files are complete.
    """
    mesh = textured.mesh
    (folder / "mesh.glb").write_bytes(to_glb(textured))
    np.savez_compressed(folder / "mesh.npz", vertices=mesh.vertices, faces=mesh.faces, uvs=textured.uvs)
    Image.fromarray(textured.texture).save(folder / "texture.png")
    Image.fromarray(textured.confidence).save(folder / "confidence.png")
    return {"glb": "mesh.glb", "mesh": "mesh.npz", "texture": "texture.png", "confidence": "confidence.png"}


def write_report(folder: Path, preview: np.ndarray, report: dict) -> dict[str, str]:
    """Write preview.png, from (H, W, 3) uint8, and report.json, from plain values; otherwise as ``write_mesh``."""
    Image.fromarray(preview).save(folder / "preview.png", pnginfo=png_mark(PREVIEW))
    # A name that is no UTF-8 has surrogates, which become JSON's own escapes.
    content = json.dumps(report, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace")
    (folder / REPORT_FILE).write_bytes(content)
    return {"preview": "preview.png", "report": REPORT_FILE}


def to_trimesh(textured: TexturedMesh) -> trimesh.Trimesh:
    """The mesh with normals, UVs and a PBR material, in glTF's axes (Y up); vertices are doubled at UV seams only."""
    mesh = textured.mesh
    normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals
    corners = np.column_stack([mesh.faces.reshape(-1, 1), textured.uvs.reshape(-1, 2)])
    distinct, faces = np.unique(corners, axis=0, return_inverse=True)
    vertex = distinct[:, 0].astype(int)
    material = PBRMaterial(
        name=NAME,
        baseColorTexture=Image.fromarray(textured.texture),
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

    def mark(tree: dict) -> None:
        tree["asset"]["generator"] = GLB_GENERATOR

    content = to_trimesh(textured).export(file_type="glb", include_normals=True, tree_postprocessor=mark)
    assert isinstance(content, bytes)
    return content
