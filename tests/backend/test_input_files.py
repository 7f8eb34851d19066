"""Files in folders that come from outside: whatever stands there under a file's name, reading it ends, and at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import UserError
from backend.input_files import read_json
from backend.io.job_folder import REPORT_FILE, VIEWS_FILE, load_state
from backend.paths import weights_folder
from backend.weights.registry import MANIFEST, installed_weights

pytestmark = pytest.mark.skipif(os.name != "posix", reason="uses POSIX's files")

NO_JSON: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a loop of links": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a folder": os.mkdir,
    "deep": lambda path: path.write_text("[" * 100_000),
    "no UTF-8": lambda path: path.write_bytes(b'{"a": "\xff"}'),
    "empty": lambda path: path.write_text(""),
}
NO_MANIFEST: dict[str, Callable[[Path], object]] = NO_JSON | {
    content: lambda path, content=content: path.write_text(content)
    for content in (
        "[]",
        "NaN",
        '{"kind": "view", "source": "", "license": "", "files": 1}',
        '{"kind": "view", "source": "", "license": "", "files": {"a": {"bytes": 1e999, "sha256": ""}}}',
        '{"kind": "view", "source": "", "license": "", "files": {"a": {"bytes": NaN, "sha256": ""}}}',
        '{"kind": "view", "source": "", "license": "", "files": {"../a": {"bytes": 1, "sha256": ""}}}',
    )
}


@pytest.mark.parametrize("kind", NO_JSON)
def test_what_is_no_json_file_is_an_error_of_two_kinds(kind, tmp_path):
    NO_JSON[kind](tmp_path / "a.json")
    with pytest.raises((OSError, ValueError)):
        read_json(tmp_path / "a.json")


def test_weights_whose_manifest_is_none_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path))
    for number, write in enumerate(NO_MANIFEST.values()):
        (weights_folder() / str(number)).mkdir(parents=True)
        write(weights_folder() / str(number) / MANIFEST)
    assert installed_weights() == {}


def test_weights_print_nothing_that_a_terminal_obeys(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path))
    texts = dict.fromkeys(("kind", "source", "license"), "a\x1b[2J\nb\u202e")
    for name in ("good", "a\x1b[2J", "a\nb", " a", ".a"):
        (weights_folder() / name).mkdir(parents=True)
        manifest = {**texts, "notes": ["\x07"], "files": {}}
        (weights_folder() / name / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    ((name, found),) = installed_weights().items()
    assert name == "good"
    assert all(text.isprintable() for text in (found.kind, found.source, found.license, *found.notes))


@pytest.mark.parametrize("name", [VIEWS_FILE, REPORT_FILE])
@pytest.mark.parametrize("kind", NO_JSON)
def test_job_whose_files_are_none_is_refused(kind, name, tmp_path):
    NO_JSON[kind](tmp_path / name)
    with pytest.raises(UserError) as caught:
        load_state(tmp_path)
    assert caught.value.code == "no_state"
