"""What all tests share: how they run, and what is made once for all of them."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "1"  # before anything imports Triton: the kernels run on the CPU here

import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

gc.set_threshold(10_000)  # most objects are those of imported libraries, and no garbage

TRITON = (
    "procedural/test_triton_depth.py",
    "procedural/test_triton_renderer.py",
    "training/test_back_projection.py",
    "training/test_group_norm.py",
    "training/test_joint_views_run.py",
    "training/test_mesh_distance.py",
    "training/test_mesh_rasterizer.py",
    "training/test_objects.py",
    "training/test_patterns.py",
    "training/test_solid_meshes.py",
    "training/test_supervision.py",
    "training/test_surface_run.py",
)
"""Tests of Triton kernels. There is no Triton for Windows and macOS."""
ON_REQUEST = ("cluster", "compiler")
"""Markers of tests that run only where ``-m`` names theirs."""

collect_ignore = [] if find_spec("triton") else list(TRITON)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also what is marked “full”: more cases of what is tested")


def pytest_report_header(config: pytest.Config) -> list[str]:
    header = [] if find_spec("triton") else [f"Triton is not installed, so these are left out: {', '.join(TRITON)}"]
    return header if config.option.full else [*header, "More cases of some tests run with --full only."]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that need Blender. These are first, then the files with slow tests: short ones fill up the end.

    Those of ``ON_REQUEST`` are left out unless ``-m`` asks for them, those marked ``full`` unless ``--full`` does.
    """
    unasked = [marker for marker in ON_REQUEST if marker not in config.option.markexpr]
    unasked += [] if config.option.full else ["full"]
    items[:] = [item for item in items if not any(map(item.get_closest_marker, unasked))]
    for item in items:
        if item.path.parent.name == "blender":
            item.add_marker("blender")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.get_closest_marker("blender") is None, item.path not in slow))


def pytest_collection_finish() -> None:
    """What is imported by now stays until the end: nobody needs to look there for garbage."""
    gc.freeze()


class FileScheduling(LoadScopeScheduling):
    """Whole files go to the test processes: what a file's tests share is made once. So is what a Blender's tests share:
    of a file in tests/blender, those ``[of one script-in one Blender]`` go together."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return f"{file} {test.partition('-')[2]}" if file.startswith("tests/blender/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log) -> FileScheduling:
    return FileScheduling(config, log)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Two test processes are faster than two threads, and sums are added up in the same order on every machine."""
    import torch  # here and below, for the process that only hands out tests: the imports take five seconds

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder once for all test processes of a run: (its name, what fills it) -> the folder."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, write: Callable[[Path], object]) -> Path:
        with FileLock(shared / f"{name}.lock"):
            if not (shared / name).exists():
                write(shared / f"{name}.partial")
                (shared / f"{name}.partial").rename(shared / name)
        return shared / name

    return make


@pytest.fixture(scope="session")
def weights(made_once) -> Path:
    """Weights with which a job takes seconds. Copy them before changing anything."""
    from tests.helpers import tiny

    return made_once("Gewichte mit Ümläuten", tiny.write_weights)


@pytest.fixture(scope="session")
def text_model(made_once) -> Path:
    """A Stable Diffusion of a toy's size. Copy it before changing anything."""
    from tests.helpers import tiny

    return made_once("tiny text model", tiny.write_text_model)
