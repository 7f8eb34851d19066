"""Make an environment: REPOSITORY BASE WHEELS [DETAIL]. Dies at the first report whose detail begins with DETAIL."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from backend import environment
from backend.errors import UserError


def listen(event):
    print(event.text, event.detail, flush=True)
    if sys.argv[4:] and event.detail.startswith(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)


try:
    print(environment.ensure(listen, Path(sys.argv[2]), wheels=Path(sys.argv[3])))
except UserError as error:
    sys.exit(f"{error.code}: {error} [{error.log}]")
