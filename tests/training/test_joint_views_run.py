"""A small run of the joint view model's training on real renderings (Triton's interpreter), stopped and resumed."""

from __future__ import annotations

import copy
import dataclasses
import time
from xml.etree import ElementTree

import numpy as np
import torch

from backend.views.zero123.joint_attention import use_joint_attention
from tests.helpers.training_runs import cube, joint_model, log_rows, short_run
from training.cameras import view_count
from training.checkpoint import has_checkpoint, load_checkpoint
from training.distributed import process_group
from training.joint_scenes import scenes_for_run
from training.joint_views import train
from training.object_library import ObjectLibrary
from training.run_log import RunLog


def test_a_run_is_stopped_resumed_and_learns(tmp_path, monkeypatch):
    model, config = joint_model(), dataclasses.replace(short_run(), view_plan="rings and above")
    use_joint_attention(model.unet, view_count(config.view_plan))
    monkeypatch.setattr("training.run_clock.CHECK_CLOCK_EVERY", 2)
    monkeypatch.setattr("training.joint_views.LOG_EVERY", 2)
    torch.manual_seed(0)
    model.train().requires_grad_(True)
    model.vae.requires_grad_(False)
    first = copy.deepcopy(model.unet.state_dict())
    group, log = process_group(), RunLog(tmp_path, True)
    box = cube(1)
    sides = dataclasses.replace(box, faces=box.faces[:4], uv_faces=box.uv_faces[:4])  # less to interpret
    library = ObjectLibrary([sides], np.ones(1), group.device)

    def run(deadline: float) -> None:
        checkpoint = load_checkpoint(tmp_path) if has_checkpoint(tmp_path) else None
        step = checkpoint.step if checkpoint else 0
        scenes = scenes_for_run(config, library, model.image_size, step, 0, 1, group.device)
        train(copy.deepcopy(model), config, checkpoint, scenes, group, log, tmp_path, deadline)

    run(time.monotonic())  # already over: stops when the clock is first read
    assert load_checkpoint(tmp_path).step == 2
    run(float("inf"))
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.step == config.steps and checkpoint.config == config
    rows = log_rows(tmp_path)
    assert [row["resumed"] for row in rows if row.get("event") == "start"] == ["no", "optimizer"]
    assert [row["step"] for row in rows if "error" in row] == [2, 4, 6]
    assert all(np.isfinite(row["error"]) for row in rows if "error" in row)
    panels = ElementTree.parse(tmp_path / "log.svg").getroot().findall("{*}polyline")
    assert len(panels) == len(rows[1]) - 1 and all(len(panel.get("points").split()) == 3 for panel in panels)
    stored = {name: tensor for name, tensor in first.items() if f"unet.{name}" in checkpoint.averaged}
    changed = {name for name, tensor in stored.items() if not torch.equal(checkpoint.averaged[f"unet.{name}"], tensor)}
    assert any("attn1.to_q" in name for name in changed) and any("conv_in" in name for name in changed)
    assert not any(name.startswith("vae") for name in checkpoint.averaged)
