"""Analytic fields for the tests: objects whose distance is known in closed form, most of them hard to mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AnalyticField:
    """A ``Field`` from a distance function; its color is a ramp over the cube."""

    function: Callable[[np.ndarray], np.ndarray]
    half_side: float = 0.6

    def distance(self, points: np.ndarray) -> np.ndarray:
        return self.function(np.asarray(points, np.float32)).astype(np.float32)

    def color(self, points: np.ndarray) -> np.ndarray:
        return np.clip(points / (2 * self.half_side) + 0.5, 0, 1).astype(np.float32)


def ball(p, radius=0.4, center=(0, 0, 0)):
    return np.linalg.norm(p - np.float32(center), axis=-1) - radius


def ring(p, large=0.35, small=0.1):
    return np.hypot(np.hypot(p[:, 0], p[:, 1]) - large, p[:, 2]) - small


def box(p, half):
    q = np.abs(p) - np.float32(half)
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0)


def cylinder(p, radius, half_height):
    q = np.stack([np.hypot(p[:, 0], p[:, 1]) - radius, np.abs(p[:, 2]) - half_height], -1)
    return np.minimum(q.max(-1), 0) + np.linalg.norm(np.maximum(q, 0), axis=-1)


def mug(p):
    cup = np.maximum(cylinder(p, 0.28, 0.35), -cylinder(p - np.float32([0, 0, 0.05]), 0.24, 0.34))
    handle = ring((p - np.float32([0.3, 0, 0]))[:, [0, 2, 1]], 0.17, 0.04)
    return np.minimum(cup, np.maximum(handle, -cylinder(p, 0.26, 0.36)))


def noisy(p):
    """A ball with four octaves of waves: not a true distance."""
    random = np.random.default_rng(0)
    distance = ball(p, 0.38)
    for octave in range(4):
        for _ in range(3):
            wave = random.normal(size=3)
            wave *= 8 * 2**octave / np.linalg.norm(wave)
            distance = distance + 0.042 / 2**octave * np.sin(p @ np.float32(wave) + random.uniform(0, 6))
    return distance


def gyroid(p):
    """A sponge of genus 90 with loose pieces at its rim."""
    s, c = np.sin(18 * p), np.cos(18 * p)
    wave = s[:, 0] * c[:, 1] + s[:, 1] * c[:, 2] + s[:, 2] * c[:, 0]
    return np.maximum((np.abs(wave) - 0.35) / 18, ball(p, 0.5))


def moved_box(p, center, half):
    return box(p - np.float32(center), half)


FIELDS = {
    "sphere": AnalyticField(ball),
    "torus": AnalyticField(ring),
    "blobs": AnalyticField(lambda p: np.minimum(ball(p, 0.2, (-0.3, 0, 0)), ball(p, 0.25, (0.25, 0.1, 0)))),
    "plate": AnalyticField(lambda p: box(p, (0.45, 0.012, 0.4))),
    "rod": AnalyticField(lambda p: cylinder(p, 0.02, 0.45)),
    "mug": AnalyticField(mug),
    "noisy": AnalyticField(noisy),
    "gyroid": AnalyticField(gyroid),
    "outside": AnalyticField(lambda p: box(p, (0.7, 0.2, 0.3))),
    "hollow": AnalyticField(lambda p: np.maximum(ball(p, 0.45), -ball(p, 0.3))),
    "touching": AnalyticField(
        lambda p: np.minimum(
            moved_box(p, (0.2, 0.2, 0), (0.2, 0.2, 0.3)), moved_box(p, (-0.2, -0.2, 0), (0.2, 0.2, 0.3))
        )
    ),
}
