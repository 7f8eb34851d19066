"""Changed views of an earlier job: what is kept to the last bit, what is sampled anew, what a request may ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend import camera
from backend.config import ReconstructionConfig, resolve_options
from backend.data_types import Cutout, Elevation, GivenView, ViewChanges, Views
from backend.errors import UserError
from backend.options import Options
from backend.views.changes import parse_changes
from backend.views.given import parse_side
from backend.views.independent import IndependentViewModel
from backend.views.joint import JointViewModel
from backend.views.zero123.model import Zero123
from tests.helpers.training_runs import joint_model


def cutout() -> Cutout:
    rows, columns = np.mgrid[:96, :96] / 95 - 0.5
    inside = rows**2 + columns**2 < 0.14
    return Cutout(
        np.stack([rows + 0.5, columns + 0.5, -rows + 0.5, inside], -1).astype(np.float32), "alpha", (0, 0, 96)
    )


CONFIG = replace(
    resolve_options(Options(elevation=20.0), "cpu"), num_inference_steps=2, joint_num_inference_steps=2, num_views=8
)


@pytest.fixture(scope="module")
def joint():
    return JointViewModel(joint_model().requires_grad_(False).eval(), 2.0, "rings and above")


@pytest.fixture(scope="module")
def independent(weights):
    return IndependentViewModel(Zero123.load(weights / "view"))


def given(side: str) -> GivenView:
    return GivenView(side, cutout(), *parse_side(side))


def sample(model, *sides: str, config: ReconstructionConfig = CONFIG) -> Views:
    elevation = Elevation(20.0, 1.0, "given")
    return model.sample_views(cutout(), [given(side) for side in sides], lambda predict, near: elevation, config).views


def resample(model, views: Views, elevation: float = 20.0, config: ReconstructionConfig = CONFIG, **changes) -> Views:
    now = Elevation(elevation, 1.0, "given")
    sampled = model.resample_views(views, ViewChanges(**changes), cutout(), 20.0, now, config)
    assert sampled.elevation == now and not sampled.ran_out_of_memory
    return sampled.views


def changed(earlier: Views, later: Views) -> set[str]:
    """The names of views that both have and whose images differ."""
    both = set(earlier.names) & set(later.names)
    images = ({name: views.images[views.names.index(name)] for name in both} for views in (earlier, later))
    one, other = images
    return {name for name in both if not np.array_equal(one[name], other[name])}


@pytest.mark.parametrize("kind", ["joint", "independent"])
def test_only_what_is_named_changes(kind, request):
    model = request.getfixturevalue(kind)
    views = sample(model)
    same = resample(model, views)
    assert same.names == views.names and not changed(views, same)
    np.testing.assert_allclose(same.camera_to_world, views.camera_to_world, atol=1e-5)
    np.testing.assert_array_equal(same.masks, views.masks)
    other = resample(model, views, seeds={"2": 7}, dropped=frozenset({"5"}))
    assert set(views.names) - set(other.names) == {"5"} and changed(views, other) == {"2"}
    assert other.names == tuple(name for name in views.names if name != "5")
    again = resample(model, other)
    assert again.names == other.names and not changed(other, again)  # what was dropped stays dropped
    assert changed(other, resample(model, other, seeds={"2": 7})) <= {"2"}


def test_given_view_takes_the_place_of_a_generated_one_and_gives_it_back(joint):
    views = sample(joint)
    with_back = resample(joint, views, given=[given("back")], seeds={"1": 0, "3": 0})
    assert set(with_back.names) == set(views.names) - {"2"} | {"back"} and with_back.names[1] == "back"
    assert changed(views, with_back) == {"1", "3"}  # they see the picture
    without = resample(joint, with_back, dropped=frozenset({"back"}))
    assert without.names == views.names and "2" not in changed(with_back, without)
    with pytest.raises(UserError, match="At most 3"):
        resample(joint, with_back, given=[given(side) for side in ("left", "right", "top")])


def test_given_view_stands_beside_independent_ones(independent):
    views = sample(independent, "back")
    other = resample(independent, views, given=[given("60,10")], dropped=frozenset({"2"}))
    assert other.names[:3] == ("input", "back", "60,10") and "2" not in other.names and not changed(views, other)


def test_elevation_moves_cameras_and_samples_only_what_it_has_to(joint, independent):
    views = sample(joint, "back")
    moved = resample(joint, views, elevation=30.0)
    assert moved.names == views.names and changed(views, moved) == {"above"}
    angles = [camera.direction_angles(pose) for pose in moved.camera_to_world]
    heights = dict(zip(moved.names, np.round([height for height, _ in angles], 3), strict=True))
    assert heights | {"4": 0} == {
        "input": 30, "back": 30, "above": 80, "1": 30, "3": 30, "4": 0, "5": 0, "6": 0, "7": 0,
    }  # fmt: skip
    low = resample(joint, views, elevation=0.0)  # its second ring is above, not below
    assert {"8", "9", "10", "11"} < set(low.names) and not {"4", "5", "6", "7"} & set(low.names)
    views = sample(independent)
    assert not changed(views, resample(independent, views, elevation=30.0))
    assert {"8", "9", "10", "11"} < set(resample(independent, views, elevation=0.0).names)


def test_neighbors_go_with_their_view(independent):
    config = replace(CONFIG, num_views=40)
    views = sample(independent, config=config)
    other = resample(independent, views, config=config, seeds={"2": 7}, dropped=frozenset({"5"}))
    assert changed(views, other) == {"2", "2_0", "2_1", "2_2", "2_3"} and other.names[:3] == ("input", "0", "1")
    assert set(views.names) - set(other.names) == {"5", "5_0", "5_1", "5_2", "5_3"}


def test_request_is_read(joint):
    views = sample(joint, "left")
    image = {"image": "a.png"}
    changes = {"1": image, "4": image, "left": image, "10,70": image, "2": {"seed": 3}, "5": "drop"}
    parsed = parse_changes(changes, views, False, lambda path: cutout())
    assert [view.name for view in parsed.given] == ["right", "30,-10", "left", "10,70"]
    assert parsed.dropped == {"1", "4", "5"} and parsed.seeds == {"2": 3}
    assert parse_changes({"1": image}, views, True, lambda path: cutout()).dropped == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"3": "drop"},  # the left one is there instead
        {"input": "drop"},
        {"input": {"image": "a.png"}},
        {"8": {"image": "a.png"}},
        {"2": {"seed": -1}},
        {"2": {"seed": True}},
        {"2": None},
        {"left": {"seed": 1}},
        {"under": {"image": "a.png"}},
        {"1": {"image": "a.png"}, "right": {"image": "b.png"}},
    ],
)
def test_changes_that_mean_nothing_are_refused(joint, changes):
    with pytest.raises(UserError):
        parse_changes(changes, sample(joint, "left"), False, lambda path: cutout())


def test_weights_that_need_all_views_lose_none(joint):
    with pytest.raises(UserError, match="need all views"):
        parse_changes({"2": "drop"}, sample(joint), True, lambda path: cutout())
