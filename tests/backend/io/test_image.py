"""Every kind of image file and in-memory image: an array, or one clear sentence."""

from __future__ import annotations

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from backend.errors import UserError
from backend.io.image import MAX_SIDE, load_image


def _gradient(height: int = 40, width: int = 60) -> np.ndarray:
    """(height, width, 3) uint8 that differs in every row, column and channel."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 200], -1).astype(np.uint8)


def _refused(path) -> str:
    with pytest.raises(UserError) as caught:
        load_image(path)
    assert caught.value.code == "bad_image"
    sentence = str(caught.value)
    assert sentence.endswith(".") and ":" in sentence and "\n" not in sentence
    return sentence


def test_rgb_comes_as_it_is(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_gradient()).save(path)
    picture = load_image(path)
    assert picture.shape == (40, 60, 4) and picture.dtype == np.float32
    assert np.array_equal(np.round(picture[..., :3] * 255), _gradient()) and (picture[..., 3] == 1).all()


def test_alpha_stays_straight(tmp_path):
    rgba = np.dstack([_gradient(), np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert np.array_equal(np.round(load_image(tmp_path / "a.png") * 255), rgba)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr"])
def test_other_modes_show_the_same_picture(tmp_path, mode):
    """Each mode is compared with Pillow's own picture of it, through a file that can hold it."""
    image = Image.fromarray(_gradient()).convert(mode)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    image.save(path)
    expected = np.asarray(image.convert("RGB"), np.float32) / 255
    assert np.abs(load_image(path)[..., :3] - expected).max() < 0.02


def test_palette_with_a_transparent_entry(tmp_path):
    image = Image.fromarray(_gradient()).quantize(16)
    image.save(tmp_path / "a.png", transparency=3)
    indices = np.asarray(Image.open(tmp_path / "a.png"))
    assert np.array_equal(load_image(tmp_path / "a.png")[..., 3] == 0, indices == 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_gray_keeps_its_range(tmp_path, suffix):
    gray = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(gray).save(tmp_path / f"a.{suffix}")
    assert np.abs(load_image(tmp_path / f"a.{suffix}")[..., 0] - gray / 65535).max() < 0.005


def test_float_tiff(tmp_path):
    gray = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
    gray[0, 0] = np.nan
    Image.fromarray(gray).save(tmp_path / "a.tif")
    assert np.abs(load_image(tmp_path / "a.tif")[..., 0] - np.nan_to_num(gray)).max() < 0.005


def test_rotated_images_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: rows are the picture's columns
    for suffix, keywords in (("jpg", {"quality": 95, "subsampling": 0}), ("png", {})):
        Image.fromarray(_gradient()).save(tmp_path / f"a.{suffix}", exif=exif, **keywords)
        picture = load_image(tmp_path / f"a.{suffix}")
        assert picture.shape == (60, 40, 4)
        assert np.abs(picture[..., :3] * 255 - np.rot90(_gradient(), -1)).mean() < 4
    gray = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(gray).save(tmp_path / "deep.png", exif=exif)
    assert load_image(tmp_path / "deep.png").shape == (60, 40, 4)


def test_color_profile_is_honored(tmp_path):
    """sRGB's profile with red and blue primaries exchanged must exchange red and blue; a broken one changes nothing."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for names in (b"XYZ", b"TRC"):
        profile = profile.replace(b"r" + names, b"?" + names).replace(b"b" + names, b"r" + names)
        profile = profile.replace(b"?" + names, b"b" + names)
    rgba = np.dstack([_gradient(), np.tile(np.linspace(20, 255, 60).astype(np.uint8), (40, 1))])
    for name, image in (("a.png", _gradient()), ("b.png", rgba)):
        Image.fromarray(image).save(tmp_path / name, icc_profile=profile)
        picture = load_image(tmp_path / name) * 255
        assert np.abs(picture[..., :3] - _gradient()[..., ::-1]).max() <= 3
    assert np.abs(picture[..., 3] - rgba[..., 3]).max() < 1
    Image.fromarray(_gradient()).save(tmp_path / "c.png", icc_profile=b"not a profile")
    assert np.abs(load_image(tmp_path / "c.png")[..., :3] * 255 - _gradient()).max() < 1


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(_gradient()), Image.fromarray(255 - _gradient())]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert np.abs(load_image(tmp_path / "a.webp")[..., :3] * 255 - _gradient()).max() <= 1


def test_paths_may_hold_any_letters(tmp_path):
    path = tmp_path / "ein Ordner mit Ümläuten 日本" / "Täße № 1.png"
    path.parent.mkdir()
    Image.fromarray(_gradient()).save(path)
    assert load_image(str(path)).shape == (40, 60, 4)


def test_large_pictures_are_reduced(tmp_path):
    Image.fromarray(_gradient(300, 6000)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").shape == (205, MAX_SIDE, 4)


def test_missing_files_and_folders_are_refused(tmp_path):
    assert "no file" in _refused(tmp_path / "nowhere.png")
    assert "cannot be read" in _refused(tmp_path)


def test_other_files_are_refused(tmp_path):
    for name, content in (("a.png", b"hello\n" * 100), ("b.jpg", b""), ("c.png", bytes(range(256)) * 10)):
        (tmp_path / name).write_bytes(content)
        assert "not an image" in _refused(tmp_path / name)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_files_are_refused(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, kind)
    (tmp_path / "a").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    _refused(tmp_path / "a")


def test_damaged_files_never_end_in_a_traceback(tmp_path):
    """Real files with random bytes changed: a picture or a UserError, nothing else."""
    chance = random.Random(0)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "TGA", "PPM"):
        data = io.BytesIO()
        Image.fromarray(_gradient()).save(data, kind)
        for _ in range(40):
            damaged = bytearray(data.getvalue())
            for _ in range(8):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            (tmp_path / "a").write_bytes(damaged)
            try:
                assert load_image(tmp_path / "a").shape[2] == 4
            except UserError as error:
                assert error.code == "bad_image"


COMPRESSED = zlib.compress(b"x" * 2_000_000)
LARGE_CHUNKS = {
    b"tEXt": b"a\0" + b"x" * 70_000_000,
    b"zTXt": b"a\0\0" + COMPRESSED,
    b"iTXt": b"a\0\1\0\0\0" + COMPRESSED,
    b"iCCP": b"a\0\0" + COMPRESSED,
}


@pytest.mark.parametrize("name", LARGE_CHUNKS)
@pytest.mark.parametrize("place", [33, -12])  # behind the header, before the end
def test_large_texts_and_profiles_are_no_damage(tmp_path, place, name):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    rgba = np.dstack([_gradient(), np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))])
    data = io.BytesIO()
    Image.fromarray(rgba[::-1, ::-1]).save(data, "PNG", exif=exif)
    content = LARGE_CHUNKS[name]
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    (tmp_path / "a.png").write_bytes(data.getvalue()[:place] + chunk + data.getvalue()[place:])
    assert np.array_equal(np.round(load_image(tmp_path / "a.png") * 255), rgba)


def test_too_small_and_too_large(tmp_path):
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one.png")
    assert "too small (1 x 1 pixels)" in _refused(tmp_path / "one.png")
    Image.new("1", (16000, 16000)).save(tmp_path / "huge.png")
    assert "too large" in _refused(tmp_path / "huge.png")
    Image.new("1", (9000, 20)).save(tmp_path / "wide.png")
    assert "9000 x 20" in _refused(tmp_path / "wide.png")


def test_nothing_to_see(tmp_path):
    Image.new("RGBA", (64, 64), (200, 30, 30, 0)).save(tmp_path / "clear.png")
    assert "fully transparent" in _refused(tmp_path / "clear.png")
    for mode, color in (("RGB", "red"), ("L", 7), ("CMYK", (0, 0, 0, 99))):
        Image.new(mode, (64, 64), color).save(tmp_path / "plain.tif")
        assert "all one color" in _refused(tmp_path / "plain.tif")


def test_a_silhouette_is_a_picture(tmp_path):
    """One color, but cut out by its alpha: the shape is the picture."""
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[16:48, 16:48, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png")[..., 3].mean() == 0.25
