"""The files of a finished job, read and checked for a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..backend.errors import ErrorCode, UserError
from ..backend.input_files import read_json

LONGEST_SIDE = 1.0
"""Meters of the object's longest side."""


@dataclass(frozen=True)
class Result:
    """What a job folder holds, as far as a scene needs it."""

    vertices: np.ndarray
    """(V, 3) float32, meters, the origin at the center of the base."""
    faces: np.ndarray
    """(F, 3) int32."""
    uvs: np.ndarray
    """(F, 3, 2) float32."""
    texture: Path
    facts: dict
    """The report's numbers and texts on mesh and elevation."""
    camera: dict
    """The image's camera, as ``scene.add_object`` takes it."""
    origin: np.ndarray
    """(3,) the object's origin in the backend's world coordinates."""
    scale: float
    """Meters per unit of that world."""


def read_result(folder: Path) -> Result:
    """The files of a job folder, checked. Raises UserError (``bad_result``)."""
    try:
        with np.load(folder / "mesh.npz") as arrays:
            vertices, faces, uvs = (np.asarray(arrays[key]) for key in ("vertices", "faces", "uvs"))
        report = read_json(folder / "report.json")
        facts, camera = _facts(report), report["camera"]
        usable = (
            (vertices.shape[1:], faces.shape[1:], uvs.shape) == ((3,), (3,), (len(faces), 3, 2))
            and len(faces) > 0
            and 0 <= faces.min() <= faces.max() < len(vertices)
            and np.isfinite(vertices).all()
            and np.isfinite(uvs).all()
            and np.ptp(vertices, axis=0).max() > 0
        )
    except Exception as error:  # damage shows as whatever the first wrong byte happens to mean
        raise UserError(
            ErrorCode.BAD_RESULT,
            f"The result in “{folder}” cannot be read ({type(error).__name__}): generate it again.",
        ) from error
    if not usable:
        raise UserError(ErrorCode.BAD_RESULT, f"The mesh in “{folder}” is damaged: generate it again.")
    low, high = vertices.min(0), vertices.max(0)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
    scale = LONGEST_SIDE / float((high - low).max())
    return Result(
        vertices=((vertices - origin) * scale).astype(np.float32),
        faces=faces.astype(np.int32),
        uvs=uvs.astype(np.float32),
        texture=folder / "texture.png",
        facts=facts,
        camera=camera,
        origin=origin,
        scale=scale,
    )


def _facts(report: dict) -> dict:
    """What the panel shows of a report: the camera's elevation and how it was estimated, the mesh's measurements."""
    elevation = report["elevation"]
    facts = {
        "elevation": elevation["degrees"],
        "elevation_source": elevation["source"],
        "elevation_confidence": elevation["confidence"],
        "joint_views": report.get("joint_views", False),
        "warnings": "\n".join(report.get("warnings", [])),
        **report["mesh"],
    }
    return {key: value for key, value in facts.items() if isinstance(value, (bool, int, float, str))}
