"""The server with a thread beside it that prints all the time, in Python and below it."""

import os
import threading

from backend.server import serve


def print_forever():
    threading.Event().wait(0.5)
    while True:
        print("stray")
        os.write(1, b'{"jsonrpc": "2.0", ')


threading.Thread(target=print_forever, daemon=True).start()
serve(None)
