"""The files of a job folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from ..rendering import turntable
from ..types import TexturedMesh

Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
"""World (Z up) to glTF (Y up): (x, y, z) -> (x, z, -y), a turn and no mirror image."""
NAME = "Image to Mesh"
ROUGHNESS = 0.8
PREVIEW_TILE = 320


def write_result(folder: Path, textured: TexturedMesh, report: dict) -> dict[str, str]:
    """Write mesh.glb, mesh.npz, texture.png, confidence.png, preview.png and report.json into an existing folder.

    report: plain values; its ``elevation`` turns the preview. Returns the files' names by what they are. OSError (a
    full disk) goes up; the caller hands in a folder that nobody looks at before everything is there.
    """
    mesh = textured.mesh
    texture = Image.fromarray(textured.texture)
    texture.save(folder / "texture.png")
    Image.fromarray(textured.confidence).save(folder / "confidence.png")
    (folder / "mesh.glb").write_bytes(to_glb(textured))
    np.savez_compressed(folder / "mesh.npz", vertices=mesh.vertices, faces=mesh.faces, uvs=textured.uvs)
    turned = turntable.turntable(textured, report["elevation"]["degrees"], PREVIEW_TILE)
    Image.fromarray(turned).save(folder / "preview.png")
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
    return {
        "glb": "mesh.glb",
        "mesh": "mesh.npz",
        "texture": "texture.png",
        "confidence": "confidence.png",
        "preview": "preview.png",
        "report": "report.json",
    }


def to_glb(textured: TexturedMesh) -> bytes:
    """A binary glTF 2.0 with normals, UVs and the texture inside; vertices are doubled at UV seams only."""
    mesh = textured.mesh
    normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals
    corners = np.column_stack([mesh.faces.reshape(-1, 1), textured.uvs.reshape(-1, 2)])
    distinct, faces = np.unique(corners, axis=0, return_inverse=True)
    vertex = distinct[:, 0].astype(int)
    material = trimesh.visual.material.PBRMaterial(
        name=NAME,
        baseColorTexture=Image.fromarray(textured.texture),
        metallicFactor=0.0,
        roughnessFactor=ROUGHNESS,
    )
    split = trimesh.Trimesh(
        mesh.vertices[vertex] @ Y_UP.T,
        faces.reshape(-1, 3),
        vertex_normals=normals[vertex] @ Y_UP.T,
        visual=trimesh.visual.TextureVisuals(uv=distinct[:, 1:], material=material),
        process=False,
        metadata={"name": NAME},
    )
    return split.export(file_type="glb", include_normals=True)
