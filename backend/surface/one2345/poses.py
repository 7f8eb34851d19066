"""Pose normalization: the cameras of one object -> the cube [-1, 1]^3 in which the network works.

The frame has the axes of the reference view's camera, translated and scaled so that all view frustums fit into the cube
(as in SparseNeuS, arXiv 2206.05737, and One-2-3-45). Only relative poses matter: rotating the world changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...camera import FOCAL

IMAGE_SIZE = 256
DEPTHS = (0.5, 1.8)
"""Nearest and farthest depth of a view's frustum, in world units."""
MARGIN = 1.1
"""Side of the cube, relative to the longest side of the frustums' bounding box."""
INTRINSICS = np.array([[FOCAL * IMAGE_SIZE, 0, IMAGE_SIZE / 2], [0, FOCAL * IMAGE_SIZE, IMAGE_SIZE / 2], [0, 0, 1]])
_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class NormalizedFrame:
    """The normalized cube and the N source cameras in it; all arrays float32, cameras with OpenCV axes."""

    reference_to_world: np.ndarray
    """(4, 4): reference camera coordinates to the world."""
    center: np.ndarray
    """(3,): the cube's center in reference camera coordinates, world units."""
    scale: float
    """Half the cube's side in world units."""
    world_to_camera: np.ndarray
    """(N, 4, 4): normalized coordinates to each source camera's, with depths divided by ``scale`` too."""
    camera_to_world: np.ndarray
    """(N, 4, 4): the inverses."""

    @property
    def projections(self) -> np.ndarray:
        """(N, 4, 4): normalized coordinates to (column * depth, row * depth, depth, 1); pixel i's center is at i."""
        matrix = self.world_to_camera.astype(np.float64)
        matrix[:, :3] = INTRINSICS @ matrix[:, :3]
        return matrix.astype(np.float32)

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Normalized points (P, 3) -> world points (P, 3) float32."""
        local = points * np.float64(self.scale) + self.center
        return (local @ self.reference_to_world[:3, :3].T + self.reference_to_world[:3, 3]).astype(np.float32)

    def from_world(self, points: np.ndarray) -> np.ndarray:
        """World points (P, 3) -> normalized points (P, 3) float32."""
        local = (points - self.reference_to_world[:3, 3].astype(np.float64)) @ self.reference_to_world[:3, :3]
        return ((local - self.center) / self.scale).astype(np.float32)


def normalize(cameras: np.ndarray) -> NormalizedFrame:
    """Camera-to-world matrices (1 + N, 4, 4), OpenGL axes, the reference view's first -> their frame."""
    poses = cameras.astype(np.float64) @ _OPENCV
    relative = np.linalg.inv(poses) @ poses[0]
    # In float32, like the reference implementation, so that the frame agrees to the last digit.
    corners = (_frustum() @ np.linalg.inv(relative).transpose(0, 2, 1).astype(np.float32))[..., :3]
    low, high = corners.min((0, 1)), corners.max((0, 1))
    center, scale = (low + high) / 2, (high - low).max() / 2 * np.float32(MARGIN)
    rotation, translation = relative[:, :3, :3], (relative[:, :3, :3] @ center + relative[:, :3, 3]) / scale
    normalized = np.tile(np.eye(4), (len(cameras), 1, 1))
    normalized[:, :3, :3] = _orthonormal(rotation).transpose(0, 2, 1)
    normalized[:, :3, 3] = -np.linalg.solve(rotation, translation[..., None])[..., 0]
    normalized = normalized.astype(np.float32)
    return NormalizedFrame(
        poses[0].astype(np.float32), center, float(scale), np.linalg.inv(normalized[1:]), normalized[1:]
    )


def _orthonormal(matrices: np.ndarray) -> np.ndarray:
    """Near-rotations (N, 3, 3) with their rows made orthonormal from the last up, as decomposing a projection does.

    float32 cameras are only nearly rotations, which matters in voxels close to a camera's own plane.
    """
    last = matrices[:, 2] / np.linalg.norm(matrices[:, 2], axis=1, keepdims=True)
    middle = matrices[:, 1] - (matrices[:, 1] * last).sum(1, keepdims=True) * last
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    return np.stack([np.cross(middle, last), middle, last], 1)


def _frustum() -> np.ndarray:
    """The eight corners of a view's frustum (8, 4), homogeneous, in camera coordinates."""
    u, v, depth = (axis.ravel() for axis in np.meshgrid([0, IMAGE_SIZE], [0, IMAGE_SIZE], DEPTHS))
    pixels = np.stack([u, v, np.ones_like(u)], 1) @ np.linalg.inv(INTRINSICS).T
    return np.concatenate([pixels * depth[:, None], np.ones((8, 1))], 1).astype(np.float32)
