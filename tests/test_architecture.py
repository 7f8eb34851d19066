"""The import rules of docs/architecture.md, read from every import statement, and the limits of the code base."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.paths import ROOT

PACKAGES = ("backend", "benchmark", "objects", "operators", "panels", "procedural", "training")
FILES = [
    ROOT / "__init__.py",
    ROOT / "properties.py",
    *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")),
]
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
MODULES["extension"] = MODULES.pop("__init__")
OF_BLENDER = ("bpy", "bpy_extras", "blf", "mathutils")
FOR_BLENDER = ("extension", "operators", "panels", "properties")
BASE = (
    "backend.camera backend.config backend.errors backend.input_files backend.locks backend.options backend.paths "
    "backend.progress backend.data_types backend.stop_signals"
)
ALLOWED = {
    BASE: BASE,
    "backend.io": f"{BASE} backend.io",
    "backend": "backend",
    "objects": "objects",
    "procedural": "procedural backend",
    "benchmark": "benchmark objects procedural backend",
    "training": "training objects procedural backend",
    "properties": "backend",
    "operators": "operators properties backend",
    "panels": "panels operators properties backend",
}
"""Packages, and all that they may import."""
IMPORTED_LATE = {
    "backend": "Blender imports this package and has no PyTorch",
    "backend.batch.cluster": "Ray is optional, and only its workers need the pipeline",
    "backend.batch.commands": "the command line starts fast, and makes the environment first",
    "backend.command_line": "the command line starts fast, and makes the environment first",
    "backend.commands": "the command line refuses what it can before PyTorch is imported",
    "backend.elevation_estimation.loftr": "kornia takes half a second, and few have LoFTR's weights",
    "backend.methods": "the server says hello before PyTorch is imported",
    "backend.preprocessing.rembg": "onnxruntime reads a variable when it is imported",
    "backend.text_to_image": "few jobs need diffusers' pipelines, which take seconds",
    "backend.views.zero123.convert": "diffusers and transformers take seconds, and most files can be refused before",
    "backend.views.zero123.loading": "diffusers and transformers take seconds: the image is read and cut out before",
    "backend.views.zero123.sampler": "as in loading, which has imported diffusers by then",
    "backend.weights.commands": "listing and removing weights needs no PyTorch",
    "benchmark.__main__": "its help is fast, and it goes on in the environment first",
    "benchmark.commands": "only the benchmark on a GPU needs diffusers' pipelines, which take seconds",
    "benchmark.run_info": "resource does not exist on Windows",
}
"""The only modules with imports inside functions, and why."""
RETIRED_WORDS = (
    "accompany", "behaviour", "centre", "colour", "coloured", "errand", "errands", "faithful", "favour",
    "FollowsJob", "grey", "licence", "misfit", "neighbour", "neighbouring", "neighbours", "normalise", "normalised",
    "rework", "ViewPlan",
)  # fmt: skip
HISTORY = ("CHANGELOG.md", "docs/adr", "docs/benchmark.*", "docs/experiments.md", "docs/speed.json")
"""Where retired words may be: what was, and what was measured."""
NAMED = ("tests/backend/test_options.py", "tests/test_architecture.py")


class Import(NamedTuple):
    module: str
    line: int
    runs_at_once: bool
    """Neither inside a function nor for type checkers only."""


def read_imports(path: Path) -> list[Import]:
    """What a file imports; modules of ours by their full names."""
    package = list(path.relative_to(ROOT).parts[:-1])
    imports = []

    def visit(node: ast.AST, runs_at_once: bool) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            runs_at_once = False
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            runs_at_once = False
        if isinstance(node, ast.Import):
            imports.extend(Import(alias.name, node.lineno, runs_at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
            imports.extend(Import(name if name in MODULES else module, node.lineno, runs_at_once) for name in names)
        for child in ast.iter_child_nodes(node):
            visit(child, runs_at_once)

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return imports


IMPORTS = {name: read_imports(path) for name, path in MODULES.items()}


def is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def of_ours(name: str) -> set[str]:
    return {other.module for other in IMPORTS[name] if other.module in MODULES} - {name}


def folder_of(name: str) -> str:
    """A module's folder. Modules that are beside folders (those of ``backend``, say) stand for themselves."""
    path = MODULES[name]
    is_beside_folders = any(child.is_dir() and any(child.glob("*.py")) for child in path.parent.iterdir())
    return name if is_beside_folders else ".".join(path.parent.relative_to(ROOT).parts)


@pytest.mark.parametrize("node_of", [str, folder_of], ids=["files", "folders"])
def test_imports_have_no_cycle(node_of):
    graph = defaultdict(set)
    for name in MODULES:
        graph[node_of(name)] |= {node_of(other) for other in of_ours(name)} - {node_of(name)}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize(("importer", "allowed"), ALLOWED.items())
def test_packages_import_only_what_is_below_them(importer, allowed):
    for name in filter(lambda name: is_in(name, *importer.split()), MODULES):
        assert not {other for other in of_ours(name) if not is_in(other, *allowed.split())}, name


def test_networks_do_not_import_the_weights():
    for name in MODULES:
        if is_in(name, "backend.views", "backend.surface", "backend.elevation_estimation", "backend.preprocessing"):
            assert not any(is_in(other, "backend.weights") for other in of_ours(name)), name


def test_only_the_pipeline_knows_the_order_of_the_stages():
    stages = {"backend.preprocessing", "backend.surface", "backend.meshing", "backend.texturing"}
    for name in MODULES:
        if is_in(name, "backend"):
            used = {stage for stage in stages if any(is_in(other, stage) for other in of_ours(name))}
            assert name == "backend.pipeline" or used < stages, name


def test_backend_imports_itself_relatively():
    for path in (ROOT / "backend").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.ImportFrom) or node.level or not is_in(node.module or "", "backend"), path
            assert not isinstance(node, ast.Import) or not any(is_in(n.name, "backend") for n in node.names), path


def test_bpy_is_imported_only_for_blender():
    for name in MODULES:
        if not is_in(name, *FOR_BLENDER):
            assert not any(is_in(other.module, *OF_BLENDER) for other in IMPORTS[name]), name


def test_blender_needs_only_numpy_and_the_standard_library():
    """Everything that runs when the extension is enabled, wherever it is."""
    left, seen = [name for name in MODULES if is_in(name, *FOR_BLENDER)], set()
    while left:
        name = left.pop()
        seen.add(name)
        for other in IMPORTS[name]:
            if other.runs_at_once and other.module in MODULES and other.module not in seen:
                left.append(other.module)
            elif other.runs_at_once and not is_in(other.module, *PACKAGES, *FOR_BLENDER):
                extra = {*OF_BLENDER, "numpy"} if is_in(name, *FOR_BLENDER) else set()
                assert other.module.split(".")[0] in sys.stdlib_module_names | extra, (name, other)
    assert "backend.client" in seen


@pytest.mark.parametrize("name", MODULES)
def test_files_are_short_and_have_no_globals_and_no_late_imports(name):
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    nodes = list(ast.walk(ast.parse(text)))
    assert not [node.lineno for node in nodes if isinstance(node, ast.Global)]
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    late = [node for f in functions for node in ast.walk(f) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert name in IMPORTED_LATE or not [node.lineno for node in late]


COMMANDS = re.compile(r"python3? -m|weights (add|fetch|list)|hf download|apt install|pip install")
AT_A_TERMINAL = ("backend.command_line", "backend.weights.commands", "training", "benchmark", "procedural", "objects")


@pytest.mark.parametrize("name", [name for name in MODULES if not is_in(name, *AT_A_TERMINAL)])
def test_sentences_name_no_command(name):
    """Blender's panels show them too, beside a button; ``UserError.command`` is for people at a terminal."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    commands = [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "command"]
    texts = [node.value for node in nodes if isinstance(node, ast.Expr)]  # docstrings
    elsewhere = {id(part) for node in (*commands, *texts) for part in ast.walk(node)}
    shown = [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert not [node.value for node in shown if id(node) not in elsewhere and COMMANDS.search(node.value)]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no Git checkout")
def test_retired_words_are_gone():
    command = ["git", "grep", "-nIiwF", *(f"-e{word}" for word in RETIRED_WORDS), "--", "."]
    command += [f":!{path}" for path in (*HISTORY, *NAMED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout, done.stdout + done.stderr
