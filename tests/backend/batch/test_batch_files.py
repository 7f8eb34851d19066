"""The files of a batch: lists of pictures, names of results, manifest and index, on a disk and on a store of fsspec."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from backend.batch import index
from backend.batch.index import INDEX, Index
from backend.batch.manifest import MANIFEST, Entry, append_entry, failed, resume_entries
from backend.batch.pictures import find_pictures
from backend.batch.results import ResultNames, result_files
from backend.batch.storage import Storage, open_storage
from backend.errors import ErrorCode, UserError
from backend.io.outputs import PREVIEW, png_mark


@pytest.fixture(params=["disk", "memory"])
def storage(request, tmp_path) -> Storage:
    return open_storage(str(tmp_path / "out") if request.param == "disk" else f"memory://{tmp_path.name}/out")


def _image(mark: str = "") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG", pnginfo=png_mark(mark) if mark else None)
    return content.getvalue()


def _entry(name: str, **more) -> Entry:
    return Entry(f"/in/{name}", "0" * 64, {}, result_files(name), 1.0, **more)


def test_folder_gives_its_images_without_the_results(tmp_path):
    for name in ("b.PNG", "a.jpeg", "notes.txt", "sub/c.webp", "sub/out/d.png", "no suffix"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_pictures(str(tmp_path), str(tmp_path / "sub" / "out"))
    assert [picture.name for picture in found] == ["a", "b", "sub/c"]
    assert [picture.source for picture in found] == [str(tmp_path / name) for name in ("a.jpeg", "b.PNG", "sub/c.webp")]


def test_list_may_hold_any_name(tmp_path, monkeypatch):
    lines = [
        b"mug.png\r",
        b"",
        b"../up.png",
        b"/a/CON.png",
        b"/a/\xff\n",
        b"/a/x: <y>\\z.png",
        b"/a/ .png",
        b"s3://b/k/v.png",
    ]
    lines.append(b"/a/" + "ü".encode() * 120 + b".png")
    (tmp_path / "list.txt").write_bytes(b"\n".join(lines))
    monkeypatch.chdir(tmp_path)
    found = find_pictures("list.txt", "out")
    assert found[0].source == str(tmp_path / "mug.png") and found[1].source == str(tmp_path.parent / "up.png")
    assert os.fsencode(found[3].source) == b"/a/\xff" and found[6].source == "s3://b/k/v.png"
    names = [picture.name for picture in found]
    assert names[:7] == ["mug", "up", "picture-CON", "-", "x- -y--z", "picture", "v"]
    assert names[7] == "ü" * 60
    with open(tmp_path / "list.txt", "rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        assert find_pictures("-", "out") == found


def test_names_are_free_on_every_file_system(storage):
    with storage.held():
        storage.write({"mug.png": (_image(), PREVIEW), "own.png": (_image(PREVIEW), PREVIEW)})
    inputs = [storage.address("in.png")]
    names = ResultNames(storage, list(storage.names()), False, inputs)
    names.take(result_files("listed").values())
    chosen = [
        names.choose(name) for name in ("mug", "Mug", "own", "in", "Listed", "listed", "thumbnails/own", "o\u0308")
    ]
    assert chosen == ["mug-2", "Mug-3", "own", "in-2", "Listed-2", "listed-3", "thumbnails/own-2", "o\u0308"]
    assert names.choose("\u00f6") == "\u00f6-2"
    forced = ResultNames(storage, list(storage.names()), True, inputs)
    assert [forced.choose("mug"), forced.choose("in")] == ["mug", "in-2"], "an input is never replaced"


def test_manifest_goes_on_after_a_kill(storage):
    with storage.held():
        for entry in (_entry("a"), failed("/in/b", None, {}, 0.5, UserError(ErrorCode.BAD_IMAGE, "No.")), _entry("c")):
            append_entry(storage, entry)
        storage.append(MANIFEST, b'{"input": "/in/d"')
        assert list(resume_entries(storage)) == [_entry("a"), _entry("c")]
        append_entry(storage, _entry("\udcff"))
        assert list(resume_entries(storage)) == [_entry("a"), _entry("c"), _entry("\udcff")]
        for line in (
            b'{"of": "another program"}\n',
            b'{"input": "a", "sha256": null, "options": {}, "files": {"mesh": 1}}\n',
        ):
            before = b"".join(storage.lines(MANIFEST))
            storage.append(MANIFEST, line)
            with pytest.raises(UserError, match="Line 4 of"):
                list(resume_entries(storage))
            assert b"".join(storage.lines(MANIFEST)) == before + line
            storage.write({MANIFEST: (before, MANIFEST)}, force=True)


def test_full_pages_of_the_index_stay(storage, monkeypatch):
    monkeypatch.setattr(index, "PAGE_LENGTH", 2)
    with storage.held():
        pages = Index(storage, (), False)
        for name in "abcde":
            pages.add(_entry(name, warnings=["<script>"]))
            pages.renew(is_running=name != "e")
        text = {name: b"".join(storage.lines(name)).decode() for name in storage.names() if name.endswith(".html")}
    assert sorted(text) == ["index-0001.html", "index-0002.html", "index.html"]
    assert "a.glb" in text["index-0001.html"] and "e.glb" in text[INDEX] and "d.glb" not in text[INDEX]
    assert "5 meshes" in text[INDEX] and "index-0002.html" in text[INDEX] and "<script>" not in "".join(text.values())


def test_only_one_batch_writes_into_a_folder(tmp_path):
    (tmp_path / INDEX).write_text("somebody's")
    storage = open_storage(str(tmp_path))
    with storage.held():
        with pytest.raises(UserError, match="Another batch"), open_storage(str(tmp_path)).held():
            pass
        with pytest.raises(UserError, match="not written by this program"):
            Index(storage, [INDEX], False)
    assert Path(tmp_path, INDEX).read_text() == "somebody's"
