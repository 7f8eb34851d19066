"""What both sides of the pipe agree on. Standard library only: Blender imports this file."""

from __future__ import annotations


class UserError(Exception):
    """Something a person can act on: one clear sentence (what is wrong, what to do) and a short machine-readable code."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
