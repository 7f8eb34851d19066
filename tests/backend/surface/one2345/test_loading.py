"""From a checkpoint in the official layout to a mesh, and the errors for files that are no such checkpoint."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from backend import camera, meshing, surface
from backend.data_types import Views
from backend.errors import UserError
from backend.io.tensors import read_tensors, write_tensors
from backend.meshing.extraction import isosurface
from backend.surface.one2345.loading import NETWORKS, convert, load, recognize
from backend.surface.one2345.model import select_source_views
from backend.surface.one2345.network import One2345

POLAR = 100
"""The second ring of views is above the first."""


def checkpoint() -> dict:
    """A file as the original's training writes it, with random weights that ignore the volume: the distance is that of
    a bumpy ball."""
    torch.manual_seed(5)
    network = One2345()
    layers = network.sdf_network_lod0.sdf_layer
    with torch.no_grad():  # the original's geometric initialization: a sphere
        layers.lin0.weight_v[:, 3:] = 0
        layers.lin1.weight_v[:, 128:] *= 0.01
        layers.lin2.weight_v.normal_((np.pi / 144) ** 0.5, 1e-4)[:, 128:] = 0
        layers.lin2.bias.fill_(-0.25)
        for layer in (layers.lin0, layers.lin1, layers.lin2):
            layer.weight_g.copy_(layer.weight_v.norm(dim=1, keepdim=True))
    content: dict = {name: dict(getattr(network, name).state_dict()) for name in NETWORKS}
    for state in content.values():
        counters = [name.replace("running_mean", "num_batches_tracked") for name in state if "running_mean" in name]
        state |= {name: torch.tensor(215_000) for name in counters}
    adam = torch.optim.Adam(network.parameters())
    sum(parameter.sum() for parameter in network.parameters()).backward()
    adam.step()
    adam.zero_grad()
    return {**content, "optimizer": adam.state_dict(), "iter_step": 215_000, "val_step": 0}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "ckpt_215000.pth"
    torch.save(checkpoint(), path)
    return path


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "surface"
    convert(source, folder)
    return folder


def tiny_views(size: int = 64) -> Views:
    """The input image and 40 views of a shaded ball, in the order in which the pipeline generates them."""
    stage_1 = (*camera.FIRST_RING, *camera.second_ring(POLAR))
    offsets = {"input": (0.0, 0.0)} | {name: (polar, azimuth) for name, polar, azimuth in stage_1}
    for name, polar, azimuth in stage_1:
        offsets |= {f"{name}_{i}": (polar + dp, azimuth + da) for i, (dp, da) in enumerate(camera.NEIGHBORS)}
    polar, azimuth = np.array(list(offsets.values())).T
    cameras = camera.camera_to_world(POLAR + polar, azimuth)
    images, masks = [], []
    for pose in cameras:
        origins, directions = camera.rays(pose, size)
        nearest = origins - (origins * directions).sum(-1, keepdims=True) * directions
        half_chord = 0.16 - (nearest**2).sum(-1, keepdims=True)  # squared; negative where the ray misses
        normal = (nearest - np.sqrt(half_chord.clip(0)) * directions) / 0.4
        masks.append((half_chord[..., 0] > 0).astype(np.float32))
        images.append(np.where(half_chord > 0, 0.5 + 0.5 * normal, 1).clip(0, 1).astype(np.float32))
    return Views(np.stack(images), np.stack(masks), cameras, tuple(offsets))


@pytest.fixture(scope="module")
def field(folder):
    torch.set_num_threads(1)
    return surface.load(folder).reconstruct(tiny_views())


def test_checkpoint_yields_a_mesh(field):
    mesh = meshing.extract(field, 48, 2000)
    report = meshing.measure(mesh)
    assert report["watertight"]
    assert report["faces"] == pytest.approx(2000, rel=0.02)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert 0.2 < radius.mean() < 0.7
    colors = field.color(mesh.vertices[:300])
    assert colors.shape == (300, 3)
    assert ((colors >= 0) & (colors <= 1)).all()
    assert colors.std() > 0.01
    assert np.abs(field.distance(mesh.vertices)).mean() < 0.02


def test_mesh_lies_on_the_references_grid(field):
    """Where nothing is decimated, its vertices are those that the original would find on 48^3 points."""
    shape = meshing.extract(field, 47, 20_000, reference_grid=field.grid_to_world)
    assert meshing.measure(shape)["watertight"]

    steps = torch.linspace(-1, 1, 48)
    values = field.distances(torch.cartesian_prod(steps, steps, steps)).view(48, 48, 48)
    expected = field.frame.to_world(isosurface(-values.numpy())[0] / 47 * 2 - 1)
    expected = expected[np.abs(expected).max(1) < field.half_side - 0.1]
    distance = cKDTree(shape.vertices).query(expected)[0]
    assert len(expected) > 1000 and np.median(distance) < 1e-5 and np.quantile(distance, 0.9) < 1e-3
    ours = meshing.extract(field, 47, 20_000)
    assert np.median(cKDTree(ours.vertices).query(expected)[0]) > 1e-3


def test_field_round_trips_through_its_file(field, tmp_path):
    write_tensors(tmp_path / "field.safetensors", field.tensors(), quantize=False)
    assert (tmp_path / "field.safetensors").stat().st_size < 40e6
    loaded = surface.field_from_tensors(read_tensors(tmp_path / "field.safetensors"), tmp_path)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (500, 3)).astype(np.float32)
    assert loaded.half_side == field.half_side
    np.testing.assert_allclose(loaded.distance(points), field.distance(points), atol=2e-3)
    assert np.abs(loaded.color(points) - field.color(points)).mean() < 0.01
    for count in (0, 1):
        assert loaded.distance(points[:count]).shape == (count,)
        assert loaded.color(points[:count]).shape == (count, 3)


def test_damaged_field_is_refused(field, tmp_path):
    path = tmp_path / "field.safetensors"
    tensors = field.tensors()
    for damaged in (
        {name: tensor for name, tensor in tensors.items() if name != "one2345.mask"},
        {name: tensor for name, tensor in tensors.items() if not name.startswith("network.variance")},
        {**tensors, "one2345.mask": torch.ones(2, 2, 2, dtype=torch.bool)},
        {**tensors, "one2345.cameras": torch.eye(4)[None]},
    ):
        write_tensors(path, damaged, quantize=False)
        with pytest.raises(UserError) as caught:
            surface.field_from_tensors(read_tensors(path), path)
        assert caught.value.code == "broken_field"


def test_source_views_are_selected_by_name():
    """Whatever the order of the views, the source views come in training order."""
    views = tiny_views(8)
    order = np.random.default_rng(1).permutation(len(views.names))
    names = tuple(views.names[i] for i in order)
    images, cameras = select_source_views(
        Views(views.images[order], views.masks[order], views.camera_to_world[order], names)
    )
    expected = [f"{k}_{j}" for k in (0, 1, 2, 3, 8, 9, 10, 11) for j in range(4)]
    indices = [views.names.index(name) for name in expected]
    np.testing.assert_array_equal(images, views.images[indices])
    np.testing.assert_array_equal(cameras, views.camera_to_world[[0, *indices]])


def test_missing_views_are_refused(folder):
    views = tiny_views(8)
    chosen = [index for index, name in enumerate(views.names) if "_" not in name]
    names = tuple(views.names[index] for index in chosen)
    few = Views(views.images[chosen], views.masks[chosen], views.camera_to_world[chosen], names)
    with pytest.raises(UserError, match="standard") as caught:
        load(folder).reconstruct(few)
    assert caught.value.code == "too_few_views"


def test_checkpoint_is_recognized_by_its_keys():
    assert recognize(set(checkpoint()))
    assert recognize({"sdf_network_lod0", "epoch"})
    assert not recognize({"state_dict", "epoch"})
    assert not recognize(set())


def test_converted_folder_has_the_checkpoints_tensors(source, folder):
    assert json.loads((folder / "config.json").read_text()) == {"kind": "one2345"}
    network = load(folder).network
    assert network.training
    original = torch.load(source, weights_only=True)
    for name, tensor in network.state_dict().items():
        subnetwork, _, key = name.partition(".")
        assert tensor.equal(original[subnetwork][key])


def saved(tmp_path: Path, content) -> Path:
    torch.save(content, tmp_path / "file.pth")
    return tmp_path / "file.pth"


def test_extra_networks_and_missing_counters_are_accepted(tmp_path):
    content = checkpoint()
    content["sdf_network_lod1"] = {"x": torch.zeros(1)}
    del content["pyramid_feature_network"]["conv0.0.bn.num_batches_tracked"]
    convert(saved(tmp_path, content), tmp_path / "out")
    assert load(tmp_path / "out").network.training


def refused(path: Path, folder: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        convert(path, folder)
    assert not folder.exists(), "an incomplete folder remains"
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_checkpoints_with_other_layouts_are_refused(tmp_path):
    layers = "sdf_network_lod0", "sdf_layer.lin0.weight_v"

    def refused_after(change) -> UserError:
        content = checkpoint()
        change(content)
        return refused(saved(tmp_path, content), tmp_path / "out")

    assert layers[1] in str(refused_after(lambda content: content[layers[0]].pop(layers[1])))
    assert "extra" in str(refused_after(lambda content: content[layers[0]].update(extra=torch.zeros(1))))
    assert layers[1] in str(refused_after(lambda content: content[layers[0]].update({layers[1]: torch.zeros(128, 40)})))
    assert "variance_network_lod0" in str(refused_after(lambda content: content.pop("variance_network_lod0")))
    assert refused_after(lambda content: content.update(sdf_network_lod0=[1])).code == "weights_mismatch"
    assert refused_after(lambda content: content[layers[0]].update({layers[1]: 3})).code == "weights_mismatch"
    integers = torch.zeros(128, 39, dtype=torch.int32)
    assert refused_after(lambda content: content[layers[0]].update({layers[1]: integers})).code == "weights_broken"
    not_a_number = torch.full((128, 39), float("nan"))
    assert refused_after(lambda content: content[layers[0]].update({layers[1]: not_a_number})).code == "weights_broken"
    sparse = torch.zeros(128, 39).to_sparse()
    assert refused_after(lambda content: content[layers[0]].update({layers[1]: sparse})).code == "weights_mismatch"
    for foreign in ({"state_dict": {}}, {}):
        assert refused(saved(tmp_path, foreign), tmp_path / "out").code == "weights_mismatch"
    for foreign in ([1, 2], torch.zeros(3)):
        assert refused(saved(tmp_path, foreign), tmp_path / "out").code == "weights_unknown"


class Trap:
    """A pickle that would run code."""

    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


def test_checkpoint_code_is_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = {**checkpoint(), "hook": Trap()}
    assert refused(saved(tmp_path, content), tmp_path / "out").code == "weights_refused"
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(content, protocol=2))
    assert refused(tmp_path / "plain.pth", tmp_path / "out").code in ("weights_refused", "weights_broken")
    assert not (tmp_path / "trapped").exists()


def test_other_files_are_refused(tmp_path):
    assert refused(tmp_path / "none.pth", tmp_path / "out").code == "weights_missing"
    for name, content in (("empty", b""), ("text", b"hello " * 100), ("picture", b"\x89PNG\r\n\x1a\n" + bytes(500))):
        path = tmp_path / name
        path.write_bytes(content)
        assert refused(path, tmp_path / "out").code == "weights_broken"


def test_truncated_and_flipped_files_are_refused_or_complete(source, tmp_path):
    """Truncated at every twentieth; a byte flipped anywhere in the directory of the archive, or in its pickle."""
    whole = source.read_bytes()
    path = tmp_path / "file.pth"
    for twentieth in range(20):
        path.write_bytes(whole[: len(whole) * twentieth // 20])
        refused(path, tmp_path / "out")
    random = np.random.default_rng(0)
    refusals = 0
    for offset in (*random.integers(0, 20_000, 60), *random.integers(len(whole) - 20_000, len(whole), 40)):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0xFF]) + whole[offset + 1 :])
        try:
            convert(path, tmp_path / "flipped")
        except UserError as error:
            refusals += 1
            assert str(path) in str(error)
    assert refusals > 10


def test_damaged_folder_is_refused(folder, tmp_path):
    (tmp_path / "config.json").write_text('{"kind": "one2345"}')
    with pytest.raises(UserError) as caught:
        surface.load(tmp_path)
    assert caught.value.code == "weights_missing"
    write_tensors(tmp_path / "model.safetensors", {"x": torch.zeros(3)}, quantize=False)
    with pytest.raises(UserError) as caught:
        surface.load(tmp_path)
    assert caught.value.code == "weights_broken"
    assert "install" in str(caught.value)
