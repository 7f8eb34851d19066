"""Start a job, print the backend's process id once the image is read, and die: PYTHON LOG IMAGE FOLDER OPTIONS."""

import json
import os
import sys
import time

from backend.client import Backend

python, log, image, folder, options = sys.argv[1:]
backend = Backend(python, log)
backend.generate(image, folder, json.loads(options))
while not any(event.stage == "picture" for event in backend.poll()):
    time.sleep(0.02)
print(backend.hello["pid"], flush=True)
os._exit(9)
