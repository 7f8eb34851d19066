"""Files that stand where weights should be, and what to do about them."""

from __future__ import annotations

from pathlib import Path

_LFS = b"version https://git-lfs"
_PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<head")


def describe_impostor(path: Path) -> str | None:
    """What a file is that is no weights at all, and what to do, as the end of a sentence; None for any other."""
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError:
        return None
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return "is empty: download it again"
    if start.startswith(_LFS):
        return "is a pointer of Git LFS, not the file itself: run “git lfs pull”, or download it from the model's page"
    if text.startswith(_PAGES):
        return "is a web page, not the file itself: download it from the model's page with a browser"
    if text.startswith((b'{"error', b"entry not found", b"access to model")):
        return "is an error message of a server, not the file itself: download it again"
    return None
