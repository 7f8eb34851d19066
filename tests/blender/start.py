"""Run scripts of this folder in turn, in one Blender: ``start.py NAME[,NAME...] ARGUMENTS``.

The arguments are the extension's zip and a folder, in which each script gets its own; for some scripts then the
backend's Python, a weights folder and a text-to-image model. A script's ``test`` gets as many of them as it has
parameters. One that fails does not keep the others from running. A story (``person.py``) has no ``test``: it goes on in
Blender's window after this.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path

import bpy

given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
sys.path.insert(0, str(Path(__file__).resolve().parent))  # Blender does not look for modules beside a script
names, paths = given[0].split(","), [Path(argument) for argument in given[1:]]
variables, status, test = dict(os.environ), 0, None
for name in names:
    print("RUNNING", name, flush=True)
    try:
        if name != names[0]:
            os.environ.clear()
            os.environ.update(variables)
            importlib.import_module("common").reset()
        module = importlib.import_module(name)
        if test := getattr(module, "test", None):
            count = test.__code__.co_argcount
            own = [path / name if index == 1 else path for index, path in enumerate(paths[:count])]
            for folder in own[1:2]:
                folder.mkdir(parents=True)
            test(*own)
            print("PASSED", name, bpy.app.version_string, flush=True)
    except BaseException:  # without this, a window would stay open
        traceback.print_exc()
        status = 1
if status or test:  # the bpy package may hang or crash when Python itself ends
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
