"""A small run of the surface network's training on real renderings (Triton's interpreter), stopped and resumed."""

from __future__ import annotations

import copy
import dataclasses
import time
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
import torch

from backend.camera import camera_to_world
from backend.surface.network import SurfaceNetwork
from tests.helpers.training_runs import PLAN, VIEWS, cube, joint_model, log_rows, short_surface_run
from training import back_projection, field_metrics, mesh_distance, supervision
from training.back_projection import FusedSurfaceNetwork
from training.cameras import plan_cameras
from training.checkpoint import has_checkpoint, load_checkpoint
from training.distributed import process_group
from training.evaluate_surface import evaluate
from training.evaluation_groups import Group
from training.generated_views import ViewGenerator
from training.object_library import ObjectLibrary
from training.run_log import RunLog
from training.surface import train
from training.surface_scenes import SurfaceScenes, scenes_for_run

SIZE, HALF_SIDE = 16, 0.6
SHAPE = {"features": 8, "depths": 4, "channels": [8, 16], "resolution": 4, "half_side": HALF_SIDE, "hidden": 8}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Little to interpret."""
    monkeypatch.setattr(mesh_distance, "BLOCK", 1024)
    monkeypatch.setattr(back_projection, "VOXELS", 64)
    monkeypatch.setattr(supervision, "NEAR_POINTS", 48)
    monkeypatch.setattr(supervision, "FREE_POINTS", 16)


def library() -> ObjectLibrary:
    """One tetrahedron: four faces enclose something."""
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    vertices = np.array([[-1, -1, -1], [1, -1, -1], [0, 1, -1], [0, 0, 1]], np.float32)
    tetrahedron = dataclasses.replace(cube(1), vertices=vertices, faces=faces, uv_faces=cube(1).uv_faces[:4])
    return ObjectLibrary([tetrahedron], np.ones(1), "cpu")


@pytest.mark.full
def test_a_run_is_stopped_resumed_and_learns(tmp_path, monkeypatch):
    config, group, log = short_surface_run(), process_group(), RunLog(tmp_path, True)
    monkeypatch.setattr("training.run_clock.CHECK_CLOCK_EVERY", 2)
    monkeypatch.setattr("training.surface.LOG_EVERY", 2)
    torch.manual_seed(0)
    network = FusedSurfaceNetwork(SIZE, **SHAPE)
    generator = ViewGenerator(joint_model().eval(), config.generation_steps, config.guidance_scale)

    def run(deadline: float) -> None:
        checkpoint = load_checkpoint(tmp_path) if has_checkpoint(tmp_path) else None
        step = checkpoint.step if checkpoint else 0
        scenes = scenes_for_run(config, library(), generator, SIZE, HALF_SIDE, step, 0, 1, group.device)
        train(copy.deepcopy(network), config, checkpoint, scenes, group, log, tmp_path, deadline)

    run(time.monotonic())  # already over: stops when the clock is first read
    stopped = load_checkpoint(tmp_path)
    assert stopped.step == 2 and stopped.trainer is not None
    run(float("inf"))
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.step == config.steps and checkpoint.config == config
    rows = log_rows(tmp_path)
    assert [row["resumed"] for row in rows if row.get("event") == "start"] == ["no", "optimizer"]
    means = [row for row in rows if "loss" in row]
    assert [row["step"] for row in means] == [2, 4]
    assert all(np.isfinite(list(row.values())).all() for row in means)
    assert any("near_generated" in row for row in means) and any("near_true" in row for row in means)
    changed = [
        name for name, value in network.state_dict().items() if not torch.equal(checkpoint.averaged[name], value)
    ]
    assert {name.split(".")[0] for name in changed} == {"features", "unet", "decoder"}


@pytest.mark.parametrize(
    ("joined_share", "plan", "planned"), [(0.0, "rings and above", 9), (1.0, "rings, above and below", 10)]
)
def test_scenes_have_views_depths_and_exact_distances(joined_share, plan, planned):
    config = dataclasses.replace(short_surface_run(), generated_share=0.0, joined_share=joined_share, view_plan=plan)
    scenes = SurfaceScenes(config, library(), None, SIZE, HALF_SIDE, 5, 1, torch.device("cpu"))
    torch.manual_seed(0)
    for chunk, views in ((scenes.next_chunk(), planned), (scenes.next_chunk_of_many_views(), 11)):
        assert chunk["images"].shape == (1, views, SIZE, SIZE, 4)
        assert chunk["cameras"].shape == (1, views, 4, 4)
        assert chunk["depths"].shape == (1, views, SIZE, SIZE, 2)
        # the views show what the depths are of
        assert ((chunk["images"][..., 3] > 127) == (chunk["depths"][..., 0] < 1.9)).float().mean() > 0.9
        assert chunk["is_object"].all() and not chunk["is_generated"].any()
        assert (chunk["near_distance"][:, :16].abs() < 4e-3).float().mean() > 0.9  # a third is on the surface
        change = (chunk["near_distance"] - chunk["partner_distance"]).abs()
        assert (change <= (chunk["near"] - chunk["partner"]).norm(dim=-1) + 1e-3).all()
        assert chunk["free_distance"].abs().mean() > chunk["near_distance"].abs().mean()
        assert chunk["color"].min() >= 0 and chunk["color"].max() <= 1


def test_generated_views_keep_the_input_and_the_true_depths():
    config = dataclasses.replace(short_surface_run(), generated_share=1.0, joined_share=1.0)
    generator = ViewGenerator(joint_model().eval(), 1, 2.0)
    chunks = []
    for made_by in (None, generator):
        torch.manual_seed(0)
        scenes = SurfaceScenes(config, library(), made_by, SIZE, HALF_SIDE, 5, 1, torch.device("cpu"))
        chunks.append(scenes.next_chunk())
    true, generated = chunks
    assert not true["is_generated"].any() and generated["is_generated"].all()
    assert torch.equal(true["images"][:, 0], generated["images"][:, 0])
    assert not torch.equal(true["images"][:, 1:], generated["images"][:, 1:])
    for name in ("cameras", "depths", "near_distance"):
        assert torch.equal(true[name], generated[name])


def test_evaluation_scores_views_in_the_plans_order(monkeypatch):
    monkeypatch.setattr(field_metrics, "GRID", 16)
    torch.manual_seed(0)
    network = SurfaceNetwork(SIZE, **SHAPE).eval()
    ball = field_metrics.sample_field(
        field_metrics.grid_points(HALF_SIDE, "cpu")[0].norm(dim=-1).numpy() - 0.4, HALF_SIDE
    )
    assert ball is not None
    images = torch.randint(0, 255, (1, VIEWS, SIZE, SIZE, 4), dtype=torch.uint8)
    angles = torch.from_numpy(np.stack(plan_cameras(np.array([20.0]), PLAN), -1)).float()
    group = Group("balls", PLAN, images, angles, [ball])
    field = next(iter(field_metrics.predict_fields(network, group.images, group.angles)))
    elevations, azimuths = group.angles[0].unbind(-1)
    cameras = torch.from_numpy(camera_to_world(90 - elevations.numpy(), azimuths.numpy()))[None]
    points = field_metrics.grid_points(HALF_SIDE, "cpu")
    expected = network(group.images.permute(0, 1, 4, 2, 3).float() / 255, cameras, points)[0][0]
    np.testing.assert_allclose(field, expected.detach(), atol=1e-5)
    with ThreadPool(1) as workers:
        scores = evaluate(network, group, group.images, workers)
    assert set(scores) == {"f05", "f02", "normal_consistency", "genus_within_1"} and 0 <= scores["f05"] <= 1
