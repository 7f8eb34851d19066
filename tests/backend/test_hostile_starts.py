"""The command line where it is started, and with what: each a real process, each one sentence at most."""

from __future__ import annotations

import ast
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.bootstrap import unmet_requirements
from backend.errors import ErrorCode, UserError, to_user_error
from tests.helpers.cases import in_full
from tests.helpers.images import shaded_disc
from tests.helpers.paths import ROOT

posix = pytest.mark.skipif(os.name != "posix", reason="uses POSIX's files and signals")


def start(
    *arguments: str | bytes, home: Path, prefix: tuple[str, ...] = (), **variables: str | None
) -> subprocess.Popen:
    """``python -m backend ARGUMENTS`` in the parent folder of ``home``; a variable that is None is removed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "IMAGE_TO_MESH_HOME": str(home), **variables}
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "backend", *arguments],
        env={name: value for name, value in environment.items() if value is not None},
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
    )


def sentence(process: subprocess.Popen) -> str:
    """The one sentence that the process ends with."""
    out, stderr = process.communicate(timeout=60)
    lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert process.returncode == 1 and len(lines) == 1 and "Traceback" not in out + stderr, out + stderr
    assert lines[0].isprintable()
    return lines[0]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("", "is empty"),
        in_full("  ", "is empty"),
        ("https://example.org/a.png", "an address"),
        in_full("file:///tmp/a.png", "an address"),
        in_full("nothing.png", "There is no file"),
        ("a\nb\x1b[31m.png", r"a\nb\x1b[31m.png"),
        (b"\xff\xfe.png", r"\udcff\udcfe.png"),
        ("x" * 300 + ".png", "cannot be read"),
        (".", "it is a folder"),
        ("~nobody-of-this-name/a.png", "There is no file"),
    ],
)
def test_image_that_is_none_is_one_sentence(image, words, tmp_path):
    assert words in sentence(start("mesh", image, home=tmp_path / "home"))


@posix
@pytest.mark.parametrize("path", ["fifo", "/dev/zero", "/dev/null", "/dev/tty"])
def test_device_is_refused_at_once(path, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    started = time.monotonic()
    assert "device" in sentence(start("mesh", path, home=tmp_path / "home")) and time.monotonic() - started < 20


@pytest.mark.parametrize("option", [["-o", ""], ["-o", "a.obj"], ["-o", "none/a.glb"], ["-o", "x" * 300 + ".glb"]])
def test_output_is_checked_before_the_work(option, tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[8:24, 8:24] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    process = start("mesh", "a.png", *option, home=tmp_path / "home")
    assert "Reading the image" not in sentence(process)


@posix
def test_name_that_is_no_utf8_is_meshed(weights, tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff\n.png", "wb") as file:
        Image.fromarray(shaded_disc()).save(file, "PNG")
    flags = [
        "--weights",
        str(weights),
        "--faces",
        "500",
        "--texture-size",
        "256",
        "--device",
        "cpu",
        "--elevation",
        "20",
    ]
    process = start("mesh", b"\xff\n.png", *flags, home=tmp_path / "home", OMP_NUM_THREADS="1")
    out, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    assert out.splitlines()[-2].endswith(r"\udcff\n.glb") and os.path.exists(os.fsencode(tmp_path) + b"/\xff\n.glb")


@posix
def test_reader_that_has_enough_is_no_error(tmp_path):
    process = start("weights", "list", home=tmp_path / "home", PYTHONUNBUFFERED="1")
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(30) in (0, 141)


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_hindrance_and_no_file_takes_their_place(closed, tmp_path):
    prefix = ("sh", "-c", f'exec "$@" {closed}', "sh")
    home = tmp_path / "home"
    out, stderr = start("weights", "list", home=home, prefix=prefix).communicate(timeout=60)
    assert ("starter" in out) == (closed == "2>&-") and not stderr
    failed = start("mesh", "nothing.png", home=home, prefix=prefix)
    assert ("There is no file" in failed.communicate(timeout=60)[1]) == (closed == ">&-") and failed.returncode == 1
    log = (home / "logs" / "command-line.log").read_text(encoding="utf-8")
    assert "There is no file" in log and "error: " not in log  # which is printed
    if "<&-" in closed:
        assert start("serve", home=home, prefix=prefix).wait(60) == 0


def test_folder_of_the_program_can_be_run(tmp_path):
    command = [sys.executable, str(ROOT / "backend"), "weights", "list"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "starter" in done.stdout, done.stderr


@pytest.mark.parametrize("name", ["__main__.py", "__init__.py"])
def test_old_pythons_can_read_the_start(name):
    source = (ROOT / "backend" / name).read_text(encoding="ascii")  # which Python 2 takes for granted
    tree = ast.parse(source, feature_version=(3, 4))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.AnnAssign)]
    assert "__future__" not in source


@posix
@pytest.mark.parametrize("module", ["argparse", "tomllib", "platform", "csv"])
def test_interruption_while_it_starts_is_quiet(module, tmp_path):
    """Ctrl-C in the middle of an import."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / f"{module}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass\n")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start("doctor", home=tmp_path / "home", PYTHONPATH=f"{modules}{os.pathsep}{ROOT}")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and stderr == "\nInterrupted.\n"


@posix
def test_user_without_name_and_home(tmp_path):
    prefix = ("unshare", "--user", "--map-user=54321")
    try:
        possible = subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("no user without a name can be made here")
    process = start("doctor", home=tmp_path / "home", prefix=prefix, HOME=None, USER=None, LOGNAME=None)
    out, stderr = process.communicate(timeout=100)
    assert process.returncode == 0 and "torch" in out, stderr
    variables = {"HOME": None, "IMAGE_TO_MESH_HOME": None, "XDG_DATA_HOME": None, "USER": None, "LOGNAME": None}
    assert "IMAGE_TO_MESH_HOME" in sentence(
        start("weights", "list", home=tmp_path / "home", prefix=prefix, **variables)
    )


@posix
@pytest.mark.parametrize("kind", [in_full("file"), in_full("link"), "folder of somebody"])
def test_foreign_folder_of_pytorch_is_no_hindrance(kind, tmp_path):
    import getpass

    foreign = tmp_path / f"torchinductor_{getpass.getuser()}"
    if kind == "file":
        foreign.write_text("")
    elif kind == "link":
        foreign.symlink_to("nowhere/at/all")
    else:
        foreign.mkdir(mode=0)
    code = "from backend import ImageToMesh; import torch._dynamo"  # which diffusers imports: it uses the folder
    environment = {**os.environ, "TMPDIR": str(tmp_path), "IMAGE_TO_MESH_HOME": str(tmp_path / "home")}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)  # which PyTorch has set in this process
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_python_is_judged_by_the_locks(tmp_path):
    """Not by names of modules: a Python that has the packages in other versions, or only some of them, is another."""
    assert unmet_requirements() == []
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for path in [*(ROOT / "wheels").glob("*.lock"), ROOT / "wheels" / "requirements.txt"]:
        text = path.read_text(encoding="utf-8").replace("scipy==1.", "scipy==0.")
        (wheels / path.name).write_text(text + ("one-more==1.0\n" if path.suffix == ".lock" else ""), encoding="utf-8")
    unmet = " ".join(unmet_requirements(wheels))
    assert "scipy 0." in unmet and "one-more 1.0" in unmet and len(unmet.split()) == 4


MEMORY = (
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory",
    "OpenCV(4.13.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 123 bytes in function 'x'",
    "std::bad_alloc",
    "MPS backend out of memory (MPS allocated: 9.06 GB)",
    "CUDNN_STATUS_ALLOC_FAILED",
    "cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate",
    "Unable to allocate 8.00 GiB for an array",
    "could not create a primitive",
    "libopenblas.so: failed to map segment from shared object",
)


@pytest.mark.parametrize("text", MEMORY)
def test_memory_that_ran_out_is_said(text):
    assert to_user_error(RuntimeError(text), None).code == "out_of_memory"


@pytest.mark.parametrize(
    "wrapper",
    [RuntimeError("Failed to import something"), UserError(ErrorCode.WEIGHTS_BROKEN, "a.onnx is damaged: delete it.")],
)
@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("Exception during initialization: std::bad_alloc"), "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
    ],
)
def test_error_that_another_hides_is_recognized(cause, code, wrapper):
    wrapper.__cause__ = cause
    assert to_user_error(wrapper, None).code == code


def test_damage_is_said_where_nothing_ran_out():
    error = UserError(ErrorCode.WEIGHTS_BROKEN, "a.onnx is damaged, or there was not enough memory: delete it.")
    error.__cause__ = ValueError("not a model")
    assert to_user_error(error, None) is error


def test_library_that_may_not_be_executed_is_no_lack_of_memory():
    error = ImportError("libopenblas.so: failed to map segment from shared object: Operation not permitted")
    assert to_user_error(error, None).code == "environment_broken"


def test_library_that_is_damaged_is_recognized_where_another_hides_it():
    error = RuntimeError("Failed to import something")
    error.__cause__ = ImportError("a.so: file too short")
    assert to_user_error(error, None).code == "environment_broken"
