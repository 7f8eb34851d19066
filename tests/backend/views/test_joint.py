"""Joint views: which views are generated, what is given to them, and which weights do it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend import camera
from backend.config import ReconstructionConfig, resolve_options
from backend.data_types import Cutout, Elevation, GivenView, Views
from backend.errors import UserError
from backend.options import Options
from backend.views.combine import input_view, mirror_views, move_views, select_views
from backend.views.given import align, parse_side, parse_views
from backend.views.joint import JointViewModel
from backend.views.loading import load_view_model
from backend.views.registration import warp
from backend.views.zero123.joint_sampler import sample_jointly
from backend.views.zero123.latent_colors import LatentColors
from backend.views.zero123.model import Zero123
from tests.helpers.training_runs import joint_model

ELEVATION = Elevation(20.0, 1.0, "given")
PLAN = "rings and above"


def cutout(height: float = 0.75, width: float = 0.75, color: float = 0.5) -> Cutout:
    """An ellipse that takes these shares of a frame."""
    rows, columns = np.mgrid[:96, :96] / 95 - 0.5
    inside = (2 * rows / height) ** 2 + (2 * columns / width) ** 2 < 1
    image = np.stack([rows + 0.5, columns + 0.5, np.full_like(rows, color), inside], -1).astype(np.float32)
    return Cutout(image, "alpha", (0.0, 0.0, 96.0))


def given(side: str, **shape) -> GivenView:
    return GivenView(side, cutout(**shape), *parse_side(side))


def config(seed: int = 0, reference_mode: bool = False) -> ReconstructionConfig:
    options = Options(elevation=20.0, seed=seed, reference_mode=reference_mode)
    return replace(resolve_options(options, "cpu"), joint_num_inference_steps=2)


def sample(model, *views: GivenView, elevation: Elevation = ELEVATION, plan: str = PLAN, **changes):
    return JointViewModel(model, 2.0, plan).sample_views(
        cutout(), views, lambda predict, near: elevation, config(**changes)
    )


@pytest.fixture(scope="module")
def model():
    return joint_model().requires_grad_(False).eval()


@pytest.fixture
def folder(weights, tmp_path) -> Path:
    """Tiny weights that say that they are joint."""
    shutil.copytree(weights / "view", tmp_path / "view")
    (tmp_path / "view" / "view.json").write_text(json.dumps({"kind": "joint", "view_plan": "rings and above"}))
    return tmp_path / "view"


@pytest.mark.parametrize(
    "plan, beside", [(PLAN, {"above": 80}), ("rings, above and below", {"above": 80, "below": -30})]
)
@pytest.mark.parametrize("elevation, ring", [(20.0, "4567"), (-10.0, ("8", "9", "10", "11"))])
def test_the_plan_is_both_rings_and_views_from_above_and_below(model, plan, beside, elevation, ring):
    sampled = sample(model, elevation=Elevation(elevation, 1.0, "given"), plan=plan)
    views = sampled.views
    assert sampled.elevation.degrees == elevation and views.names == ("input", *beside, "1", "2", "3", *ring)
    count = len(views.names)
    assert views.images.shape == (count, 16, 16, 3) and views.masks.shape == (count, 16, 16)
    back, *others = (views.camera_to_world[views.names.index(name), :3, 2] for name in ("2", *beside))
    heights = np.degrees(np.arcsin([eye[2] for eye in (back, *others)]))
    np.testing.assert_allclose(heights, [elevation, *beside.values()], atol=1e-3)
    assert back[1] > 0 > views.camera_to_world[0, 1, 3]


def test_views_depend_on_the_seed_and_on_each_other_only(model):
    first, again, other = (sample(model, seed=seed).views.images for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[0], other[0])
    assert (np.abs(first - other).max((1, 2, 3))[1:] > 0).all()


@pytest.mark.parametrize(
    "sides, replaced",
    [(["back"], {"2"}), (["left", "right"], {"1", "3"}), (["top"], {"above"}), (["45"], set()), (["170,35"], {"2"})],
)
def test_given_views_follow_the_input_and_replace_the_planned_ones_beside_them(model, sides, replaced):
    plain = sample(model).views
    views = sample(model, *map(given, sides)).views
    assert views.names[: 1 + len(sides)] == ("input", *sides)
    assert set(plain.names) - set(views.names) == replaced
    kept = [name for name in plain.names[1:] if name in views.names]
    changed = [np.abs(plain.images[plain.names.index(n)] - views.images[views.names.index(n)]).max() for n in kept]
    assert min(changed) > 0  # what is given is seen by all


def silhouettes(*angles: tuple[float, float], **shape) -> Views:
    """At most one generated view: an ellipse, from a camera at (elevation, azimuth)."""
    shown = input_view(cutout(**shape), 64, 0.0)
    return move_views(shown, angles) if angles else select_views(shown, [])


def test_given_views_without_generated_ones_nearby_are_drawn_at_the_inputs_scale():
    def extents(view: GivenView, generated: Views) -> tuple[int, int]:
        mask = align(view, cutout(), 64, 20.0, generated).mask > 0.5
        return int(mask.any(0).sum()), int(mask.any(1).sum())

    for generated in (silhouettes(), silhouettes((20.0, 95.0), height=0.2)):
        # As high as the input; but nothing is cut off by the frame, which limits the wide one.
        assert extents(given("back", height=0.25, width=0.75), generated)[1] == pytest.approx(64 * 0.98 / 3, abs=2)
        assert extents(given("top", height=0.75, width=0.375), generated)[0] == pytest.approx(64 * 0.98 / 2, abs=2)
        assert extents(given("left", height=0.9, width=0.3), generated)[1] == pytest.approx(48, abs=2)


@pytest.mark.parametrize("scale, shift", [(0.6, (9, -4)), (1.0, (0, 0)), (0.8, (-14, 11))])
def test_given_views_take_the_place_and_the_size_of_what_was_generated_there(scale, shift):
    """The object is neither in the middle of the frame nor as high as in the input, as behind objects that are long."""
    where = np.array([[scale, 0, 31.5 - 31.5 * scale + shift[0]], [0, scale, 31.5 - 31.5 * scale + shift[1]]])
    shown = input_view(cutout(height=0.7, width=0.4), 64, 0.0)
    generated = Views(
        shown.images, warp(shown.masks[0], where, 0.0)[None], camera.camera_to_world(np.array([72.0]), 171.0), ("2",)
    )
    aligned = align(given("back", height=0.7, width=0.4), cutout(), 64, 20.0, generated)
    inside, expected = aligned.mask > 0.5, generated.masks[0] > 0.5
    assert (inside & expected).sum() / (inside | expected).sum() > 0.93
    assert aligned.angles == (20.0, 180.0)
    assert aligned.image[aligned.mask < 0.01].min() > 0.9 and aligned.image[inside].mean() < 0.7


def test_a_generated_view_without_an_object_says_nothing():
    empty = Views(np.ones((1, 64, 64, 3), np.float32), np.zeros((1, 64, 64), np.float32),
                  camera.camera_to_world(np.array([70.0]), 180.0), ("2",))  # fmt: skip
    view = given("back", height=0.5, width=0.5)
    np.testing.assert_array_equal(
        align(view, cutout(), 64, 20.0, empty).mask, align(view, cutout(), 64, 20.0, silhouettes()).mask
    )


@pytest.mark.parametrize("text", ["behind", "", "400", "1,2,3", "10,100", "nan", "inf", "1,nan"])
def test_sides_that_mean_nothing_are_refused(text):
    with pytest.raises(UserError, match="no side of the object"):
        parse_side(text)


def test_too_many_given_views_are_refused(model):
    with pytest.raises(UserError, match="At most 3 more views"):
        sample(model, *map(given, ["back", "left", "right", "top"]))


def test_reference_mode_is_refused(model):
    with pytest.raises(UserError, match="choose other weights"):
        sample(model, reference_mode=True)


def test_elevation_is_predicted_or_asked_for(model):
    estimates = []

    def estimate(predict, sample_neighbors):
        estimates.append(predict())
        return Elevation(estimates[0][0], 0.5, "predicted")

    sampled = JointViewModel(model, 2.0, PLAN).sample_views(cutout(), (), estimate, config())
    assert sampled.elevation.degrees == estimates[0][0] and estimates[0][1] > 0 and len(sampled.views.names) == 9
    with pytest.raises(UserError, match="set it"):
        JointViewModel(model, 2.0, PLAN).sample_views(cutout(), (), lambda predict, near: near(), config())


def test_the_mirror_image_gives_the_views_another_chance(model):
    """What is generated from it and mirrored back is what would be generated if it were the input image."""
    mirror_image = replace(cutout(), image=np.ascontiguousarray(cutout().image[:, ::-1]))
    views, mirrored = (part(sample(model)) for part in (lambda it: it.views, lambda it: it.others[0]))
    of_mirror_image = JointViewModel(model, 2.0, PLAN).sample_views(
        mirror_image, (), lambda predict, near: ELEVATION, config()
    )
    expected = mirror_views(of_mirror_image.views)
    np.testing.assert_allclose(mirrored.images, expected.images, atol=1e-5)
    np.testing.assert_allclose(mirrored.masks, expected.masks, atol=1e-5)
    np.testing.assert_allclose(mirrored.camera_to_world, expected.camera_to_world, atol=1e-6)
    np.testing.assert_array_equal(mirrored.images[0], views.images[0])
    second_ring = mirrored.names.index("4")
    assert camera.direction_angles(mirrored.camera_to_world[second_ring])[1] == pytest.approx(330)
    assert np.abs(mirrored.images[second_ring] - views.images[second_ring]).max() > 0.01


@pytest.mark.parametrize("sides", [(), ("left",)])
def test_more_samples_are_other_opinions_and_leave_the_first_as_it_is(model, sides):
    done: list[float] = []
    arguments = (cutout(), [given(side) for side in sides], lambda predict, near: ELEVATION)
    once = JointViewModel(model, 2.0, PLAN).sample_views(*arguments, replace(config(), joint_num_samples=1))
    twice = JointViewModel(model, 2.0, PLAN).sample_views(
        *arguments, replace(config(), joint_num_samples=2), done.append
    )
    (mirrored,), (same, other, other_mirrored) = once.others, twice.others
    for views, expected in ((twice.views, once.views), (same, mirrored)):
        np.testing.assert_array_equal(views.images, expected.images)
    generated = slice(1 + len(sides), None)
    for views, first in ((other, once.views), (other_mirrored, mirrored)):
        assert views.names == first.names
        np.testing.assert_array_equal(views.camera_to_world, first.camera_to_world)
        assert np.abs(views.images[generated] - first.images[generated]).mean() > 0.01
    steps = 2 * (4 + len(sides))
    np.testing.assert_allclose(done, np.arange(1, steps + 1) / steps)


@pytest.mark.parametrize("sides, planned", [(["left"], ("above", "2", "3")), (["back", "45"], ("above", "1", "3"))])
def test_given_views_belong_to_the_mirror_image_too(model, sides, planned):
    """The view from the left takes the place of the one from the right there, which is mirrored back."""
    sampled = sample(model, *map(given, sides))
    count = 1 + len(sides)
    assert sampled.others[0].names == ("input", *sides, *planned, "4", "5", "6", "7")
    np.testing.assert_array_equal(sampled.others[0].images[:count], sampled.views.images[:count])
    np.testing.assert_allclose(
        sampled.others[0].camera_to_world[:count], sampled.views.camera_to_world[:count], atol=1e-6
    )


def test_bfloat16_gives_the_same_views(folder):
    exact, fast = Zero123.load(folder), Zero123.load(folder)
    fast.use_bfloat16()
    gray = np.full((exact.image_size, exact.image_size, 3), 0.5, np.float32)
    assert fast.predict_elevation(gray) == exact.predict_elevation(gray)
    both = [sample(model).views.images[1:] for model in (exact, fast)]
    assert 0 < np.square(both[0] - both[1]).mean() < 1e-4  # 53 to 55 dB with the starter weights


def test_views_that_are_not_given_see_clean_ones_and_progress_is_reported(model):
    torch.manual_seed(0)
    pictures, angles = torch.rand(2, 2, 3, 16, 16) * 2 - 1, torch.rand(2, 4, 2) * 30
    noise, fractions = torch.randn(2, 2, 4, 4, 4), []
    views = sample_jointly(model, pictures, angles, noise, 3, 2.0, fractions.append)
    assert views.shape == (2, 2, 3, 16, 16) and fractions == pytest.approx([1 / 3, 2 / 3, 1])
    alone = sample_jointly(model, pictures[:1], angles[:1], noise[:1], 3, 2.0)
    torch.testing.assert_close(views[:1], alone, atol=1e-4, rtol=1e-4)  # scenes of a batch do not see each other
    pictures[0, 1] = -pictures[0, 1]
    assert (sample_jointly(model, pictures, angles, noise, 3, 2.0) - views)[0].abs().max() > 1e-3


@pytest.mark.parametrize(("settings", "scale"), [({}, 2.0), ({"guidance_scale": 1}, 1.0)])
def test_a_folder_says_that_it_is_joint_and_how_strong_its_guidance_is(folder, settings, scale):
    content = json.loads((folder / "view.json").read_text())
    (folder / "view.json").write_text(json.dumps(content | settings))
    model = load_view_model(folder, torch.device("cpu"), torch.float32)
    assert isinstance(model, JointViewModel) and model.guidance_scale == scale


@pytest.mark.parametrize("scale", ["2", None, [1], 0.5, 1e9, float("nan")])
def test_a_guidance_scale_that_is_none_is_refused(folder, scale):
    content = json.loads((folder / "view.json").read_text())
    (folder / "view.json").write_text(json.dumps(content | {"guidance_scale": scale}))
    with pytest.raises(UserError, match="must be a number from 1 to 100"):
        load_view_model(folder, torch.device("cpu"), torch.float32)


def test_a_job_may_set_the_guidance_and_one_without_takes_one_pass(model):
    batches = []
    hook = model.unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    images = []
    for own, job in ((1.0, None), (2.0, 1.0), (2.0, None), (1.0, 2.0)):
        settings = replace(config(), joint_guidance_scale=job)
        sampled = JointViewModel(model, own, PLAN).sample_views(cutout(), (), lambda predict, near: ELEVATION, settings)
        images.append(sampled.views.images)
    hook.remove()
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[2], images[3])
    assert len(batches) == 2 * (2 + 2 + 4 + 4)  # two steps each, of the views and of those of the mirror image


def test_weights_say_which_plan_they_were_trained_for(folder):
    names = []
    for settings in ({}, {"view_plan": "rings, above and below"}):
        (folder / "view.json").write_text(json.dumps({"kind": "joint"} | settings))
        loaded = load_view_model(folder, torch.device("cpu"), torch.float32)
        assert isinstance(loaded, JointViewModel)
        names.append({name for name, *_ in loaded.plan(20.0)})
    assert names[1] - names[0] == {"below"} and not names[0] - names[1]


@pytest.mark.parametrize("settings", [{"kind": "other"}, {"kind": "joint", "view_plan": "twelve"}, {"kind": 3}])
def test_unknown_kinds_and_plans_are_refused(folder, settings):
    (folder / "view.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="which this version does not know"):
        load_view_model(folder, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("plan", camera.JOINT_PLANS)
def test_what_is_generated_never_repeats_the_input(model, plan):
    for degrees in (-30.0, 0.0, 15.0, 45.0, 75.0):
        sampled = sample(model, elevation=Elevation(degrees, 1.0, "given"), plan=plan)
        source, *poses = sampled.views.camera_to_world
        assert min(np.abs(pose - source).max() for pose in poses) > 0.05


@pytest.mark.parametrize("arguments", [["back"], ["back="], ["=x.png"], ["under=x.png"], ["back=a.png", "back=b.png"]])
def test_view_arguments_that_name_no_side_or_image_are_refused(arguments):
    with pytest.raises(UserError):
        parse_views(arguments)


def test_view_arguments_name_sides_and_files():
    assert parse_views(["back=a=b.png", "135,20=c.png"]) == {"back": Path("a=b.png"), "135,20": Path("c.png")}


@pytest.mark.parametrize("sides", [(), ("left",)])
def test_who_watches_sees_all_views_in_their_order_and_changes_none(model, sides):
    sheets: list[list[np.ndarray]] = []
    four_steps = replace(config(), joint_num_inference_steps=4)
    views = [given(side) for side in sides]
    arguments = (cutout(), views, lambda predict, near: ELEVATION, four_steps)
    plain = JointViewModel(model, 2.0, PLAN).sample_views(*arguments).views
    watched = JointViewModel(model, 2.0, PLAN).sample_views(*arguments, on_views=sheets.append).views
    np.testing.assert_array_equal(plain.images, watched.images)
    np.testing.assert_array_equal(plain.masks, watched.masks)
    assert len(sheets) == 3 * (1 + len(sides))  # of every pass all steps but the last
    assert {len(sheet) for sheet in sheets} == {len(plain.names)}
    np.testing.assert_array_equal(sheets[-1][0], plain.images[0])
    assert all(image.dtype == np.float32 and 0 <= image.min() <= image.max() <= 1 for image in sheets[-1])


def test_latents_are_shown_in_the_colors_they_stand_for():
    generator = torch.Generator().manual_seed(0)
    colors = torch.rand(2, 3, 8, 8, generator=generator)
    mixed = torch.einsum("dc,nchw->ndhw", torch.rand(4, 3, generator=generator), colors) + 0.5
    images = torch.nn.functional.interpolate(colors * 2 - 1, scale_factor=4)
    shown = LatentColors(images[:1], mixed[:1])(mixed[1:])
    torch.testing.assert_close(shown, colors[1:].movedim(1, -1), atol=1e-3, rtol=0)
