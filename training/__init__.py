"""How the starter weights were made. Not shipped in the extension; runs on a CUDA GPU."""
