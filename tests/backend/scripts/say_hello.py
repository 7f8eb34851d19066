"""Start the backend of the package in a folder and print its hello: FOLDER PYTHON LOG."""

import sys

sys.path.insert(0, sys.argv[1])

from backend.client import Backend

backend = Backend(sys.argv[2], sys.argv[3])
while backend.hello is None and backend.alive:
    backend.poll()
print(ascii(backend.hello))
backend.close()
