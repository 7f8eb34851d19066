"""Run one script of this folder: ``start.py NAME ARGUMENTS``. Blender does not look for modules beside a script."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path

given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
sys.path.insert(0, str(Path(__file__).resolve().parent))
try:
    importlib.import_module(given[0])
except BaseException:  # without this, a window would stay open
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
