"""The VAE's decoder learns masks, and the encoder stays as it is."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import torch

from tests.helpers.training_runs import cube, joint_model, short_run
from training.decoder import DecoderConfig, load_vae, save_vae, train, with_mask
from training.distributed import process_group
from training.joint_scenes import scenes_for_run
from training.object_library import ObjectLibrary
from training.run_log import RunLog


def test_a_fourth_channel_changes_no_color():
    vae = joint_model().vae
    wider, latents = with_mask(vae), torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        before, after = (v.decode(latents, return_dict=False)[0] for v in (vae, wider))
    torch.testing.assert_close(after[:, :3], before)
    assert after.shape[1] == 4 and not after[:, 3].any()


def test_a_short_run_learns_masks_and_leaves_the_encoder(tmp_path):
    model, group = joint_model(), process_group()
    box = cube(1)
    sides = dataclasses.replace(box, faces=box.faces[:4], uv_faces=box.uv_faces[:4])  # less to interpret
    library = ObjectLibrary([sides], np.ones(1), group.device)
    scenes = scenes_for_run(short_run(), library, model.image_size, 0, 0, 1, group.device)
    config = DecoderConfig("test", 60, 5, 8, 5e-3, 0.1, 1.0, "", 2, 1000.0)
    encoder = {name: tensor.clone() for name, tensor in model.vae.encoder.state_dict().items()}
    vae = train(model, config, short_run(), scenes, RunLog(tmp_path, True), group)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 60 and rows[-1]["wrong_mask"] < 0.3
    for name, tensor in vae.encoder.state_dict().items():
        assert torch.equal(tensor, encoder[name]), name
    save_vae(vae, tmp_path)
    again = load_vae(tmp_path)
    for name, tensor in vae.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
