"""What is shown of a photograph's cutout before the model has looked closer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.cutout_preview import BACKGROUND, PREVIEW_SIDE, write_cutout
from backend.errors import Cancelled
from tests.helpers.photographs import Photograph, iou, photograph

pytestmark = pytest.mark.slow


def save(picture: Photograph, path: Path) -> Path:
    """Write the image file; its path."""
    Image.fromarray(np.round(picture.image * 255).astype(np.uint8)).save(path)
    return path


def marked(path: Path) -> np.ndarray:
    """The mask in a file of ``write_cutout``, reduced: (PREVIEW_SIDE, PREVIEW_SIDE) 0..1."""
    alpha = np.asarray(Image.open(path).resize((PREVIEW_SIDE, PREVIEW_SIDE)), np.float32)[..., 3]
    return (alpha - BACKGROUND) / (255 - BACKGROUND)


@pytest.mark.parametrize(("name", "kind", "shape"), [("mug", "room", (240, 320)), ("vase", "wood", (640, 400))])
def test_a_draft_is_shown_that_is_nearly_the_cutout(name, kind, shape, tmp_path):
    picture = photograph(name, kind, shape, scale=0.5)
    drafts: list[np.ndarray] = []
    shown = write_cutout(
        save(picture, tmp_path / "a.png"), tmp_path / "job", "auto", lambda path: drafts.append(marked(path))
    )
    (draft,) = drafts
    assert iou(draft, marked(shown["preview"])) > 0.9
    assert sorted(file.name for file in (tmp_path / "job").iterdir()) == ["cutout-auto.png", "cutout.png"]


def test_cancelling_when_a_draft_is_shown_leaves_nothing(tmp_path):
    def cancel(draft: Path) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        write_cutout(save(photograph("car", "studio"), tmp_path / "a.png"), tmp_path / "job", "model", cancel)
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("method", ["auto", "alpha", "grabcut"])
def test_there_is_no_draft_of_what_is_final_at_once(method, tmp_path):
    picture = photograph("mug", "white", (120, 160))
    picture.image[..., 3] = picture.alpha

    def refuse(draft: Path) -> None:
        raise AssertionError("a draft is shown")

    shown = write_cutout(save(picture, tmp_path / "a.png"), tmp_path / "job", method, refuse)
    assert shown["found"] and shown["method"] == ("grabcut" if method == "grabcut" else "alpha")
