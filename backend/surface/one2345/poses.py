"""Pose normalization: the cameras of one object -> the cube in which the network sees it.

The frame is the reference view's own camera, moved and scaled so that all view frustums fit into [-1, 1]^3 (as in
SparseNeuS, arXiv 2206.05737, and One-2-3-45). Only relative poses enter: turning the world changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...camera import FOCAL

IMAGE_SIZE = 256
DEPTHS = (0.5, 1.8)
"""Nearest and farthest depth of a view's frustum, in world units."""
MARGIN = 1.1
"""How much larger the cube is than what the frustums fill."""
INTRINSICS = np.array([[FOCAL * IMAGE_SIZE, 0, IMAGE_SIZE / 2], [0, FOCAL * IMAGE_SIZE, IMAGE_SIZE / 2], [0, 0, 1]])
_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Frame:
    """The normalized cube and the source cameras in it; all arrays float32, cameras with OpenCV axes."""

    reference: np.ndarray
    """(4, 4): the reference camera to the world."""
    center: np.ndarray
    """(3,): the cube's center in reference camera coordinates."""
    scale: float
    """Half the cube's side in world units."""
    world_to_camera: np.ndarray
    """(N, 4, 4): normalized coordinates to each source camera's, in which depths too are divided by ``scale``."""
    camera_to_world: np.ndarray
    """(N, 4, 4): the inverses."""
    near_far: np.ndarray
    """(1 + N, 2): depths between which the cube lies, for the reference and the source cameras. Near is negative where
    the camera stands inside the unit ball."""

    @property
    def query_to_world(self) -> np.ndarray:
        """(4, 4): the reference camera to normalized coordinates."""
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, 3] = -self.center / np.float32(self.scale)
        return matrix

    @property
    def projections(self) -> np.ndarray:
        """(N, 4, 4): normalized coordinates to (column * depth, row * depth, depth, 1); pixel i is at i, not i + .5."""
        matrix = self.world_to_camera.astype(np.float64)
        matrix[:, :3] = INTRINSICS @ matrix[:, :3]
        return matrix.astype(np.float32)

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Normalized points (P, 3) -> world points (P, 3) float32."""
        local = points * np.float64(self.scale) + self.center
        return (local @ self.reference[:3, :3].T + self.reference[:3, 3]).astype(np.float32)

    def from_world(self, points: np.ndarray) -> np.ndarray:
        """World points (P, 3) -> normalized points (P, 3) float32."""
        local = (points - self.reference[:3, 3].astype(np.float64)) @ self.reference[:3, :3]
        return ((local - self.center) / self.scale).astype(np.float32)


def normalize(cameras: np.ndarray) -> Frame:
    """Camera-to-world matrices (1 + N, 4, 4), OpenGL axes, the reference view's first -> their frame."""
    poses = cameras.astype(np.float64) @ _OPENCV
    relative = np.linalg.inv(poses) @ poses[0]
    # In float32, as in the reference: then the frame agrees to the last digit.
    corners = (_frustum() @ np.linalg.inv(relative).transpose(0, 2, 1).astype(np.float32))[..., :3]
    low, high = corners.min((0, 1)), corners.max((0, 1))
    center, scale = (low + high) / 2, (high - low).max() / 2 * np.float32(MARGIN)
    rotation, shift = relative[:, :3, :3], (relative[:, :3, :3] @ center + relative[:, :3, 3]) / scale
    normalized = np.tile(np.eye(4), (len(cameras), 1, 1))
    normalized[:, :3, :3] = _orthonormal(rotation).transpose(0, 2, 1)
    normalized[:, :3, 3] = -np.linalg.solve(rotation, shift[..., None])[..., 0]
    normalized = normalized.astype(np.float32)
    distance = np.linalg.norm(normalized[:, :3, 3].astype(np.float64), axis=1)
    return Frame(
        poses[0].astype(np.float32),
        center,
        float(scale),
        np.linalg.inv(normalized[1:]),
        normalized[1:],
        np.stack([0.95 * (distance - 1), 1.05 * (distance + 1)], 1).astype(np.float32),
    )


def _orthonormal(matrices: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3), nearly: rows made orthonormal from the last up, as decomposing a projection does. Cameras in
    float32 are rotated only nearly, which shows in voxels close to a camera's own plane."""
    last = matrices[:, 2] / np.linalg.norm(matrices[:, 2], axis=1, keepdims=True)
    middle = matrices[:, 1] - (matrices[:, 1] * last).sum(1, keepdims=True) * last
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    return np.stack([np.cross(middle, last), middle, last], 1)


def _frustum() -> np.ndarray:
    """The eight corners of every view's frustum (8, 4), homogeneous, in its camera's coordinates."""
    u, v, depth = (each.ravel() for each in np.meshgrid([0, IMAGE_SIZE], [0, IMAGE_SIZE], DEPTHS))
    pixels = np.stack([u, v, np.ones_like(u)], 1) @ np.linalg.inv(INTRINSICS).T
    return np.concatenate([pixels * depth[:, None], np.ones((8, 1))], 1).astype(np.float32)
