"""Folders of the program, and names from outside that may not leave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import ErrorCode, UserError
from backend.paths import data_folder, safe_join, weights_folder

UNSAFE_NAMES = [
    "",
    ".",
    "..",
    "../outside",
    "a/../../outside",
    "a/..",
    "./a",
    "a//b",
    "a/",
    "/etc/passwd",
    "//server/share",
    "\\\\server\\share",
    "..\\outside",
    "a\\b",
    "C:",
    "C:outside",
    "c:/outside",
    "C:\\outside",
    "file.txt:stream",
    "nul\0byte",
    "new\nline",
    "escape\x1b[31m",
    "right\u202eto left",
    "lone \udcff surrogate",
    "dot.",
    "space ",
    "...",
    "CON",
    "nul.json",
    "com1.safetensors",
    "a/lpt9",
    "*",
    "what?",
    "a" * 5000,
]
"""Names that could leave a folder, on one system or another, or that no file can have."""


@pytest.mark.parametrize("name", UNSAFE_NAMES, ids=ascii)
def test_safe_join_refuses_what_is_not_a_plain_relative_path(tmp_path, name):
    with pytest.raises(UserError) as refused:
        safe_join(tmp_path, name)
    assert refused.value.code == ErrorCode.UNSAFE_PATH
    assert str(refused.value).isprintable() and len(str(refused.value)) < 500


@pytest.mark.parametrize("name", [None, 3, ["a"], b"a"])
def test_safe_join_refuses_what_is_not_text(tmp_path, name):
    with pytest.raises(UserError):
        safe_join(tmp_path, name)


@pytest.mark.parametrize("name", ["a", "unet/config.json", ".hidden", "..a", "a..b", "é ü/№1", "console", "-x", "a b"])
def test_safe_join_accepts_plain_relative_paths(tmp_path, name):
    assert safe_join(tmp_path, name) == tmp_path / name


def test_safe_join_refuses_links_that_lead_outside(tmp_path):
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    (root / "alias").symlink_to(root / "inside", target_is_directory=True)
    assert safe_join(root, "alias/file") == root / "alias" / "file"
    for name in ("out", "out/file", "alias/../../outside"):
        with pytest.raises(UserError):
            safe_join(root, name)


def test_safe_join_follows_a_link_to_the_root_itself(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert safe_join(tmp_path / "root", "a/b") == tmp_path / "root" / "a" / "b"


def test_data_folder_is_the_variables_then_the_chosen_then_the_systems(tmp_path, monkeypatch):
    monkeypatch.delenv("IMAGE_TO_MESH_HOME", raising=False)
    assert data_folder(tmp_path / "chosen") == tmp_path / "chosen"
    assert data_folder().name == "image-to-mesh" and data_folder().is_absolute()
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", "~/elsewhere")
    assert data_folder(tmp_path / "chosen") == Path.home() / "elsewhere"
    assert weights_folder(tmp_path / "chosen") == Path.home() / "elsewhere" / "weights"
