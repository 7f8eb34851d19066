"""The program's start: ``python -m backend``, or a path to this folder.

In the syntax of every Python 3 and of Python 2.7, so that an old one gets a sentence instead of a traceback.
"""

import atexit
import gc
import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("error: Image to Mesh needs Python 3.11 to 3.14, but this one is older: use a newer one.")

INTERRUPTED = 130  # the exit status after Ctrl-C

try:
    if not __package__:  # run as "python3 CHECKOUT/backend": the folder above is what Python has to know
        FOLDER = os.path.dirname(os.path.abspath(__file__))
        sys.path = [os.path.dirname(FOLDER)] + [each for each in sys.path if os.path.abspath(each) != FOLDER]
        __package__ = os.path.basename(FOLDER)
    from .allocator import keep_freed_memory
    from .command_line import main
except KeyboardInterrupt:
    sys.stderr.write("\nInterrupted.\n")
    os._exit(INTERRUPTED)

if __name__ == "__main__":
    # Half a million objects of PyTorch and diffusers stay until the end. To look among them for garbage, often while
    # they are imported and thrice at the end, would take two of the six seconds that it takes to import both and end.
    gc.set_threshold(10000)
    keep_freed_memory()
    atexit.register(gc.freeze)
    status = main(sys.argv[1:])
    if status == INTERRUPTED:
        # Python would end by SIGINT instead, had the interrupt passed through code that a library runs with exec().
        os._exit(status)
    sys.exit(status)
