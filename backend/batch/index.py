"""The index of a batch: static HTML pages with thumbnails, which a browser shows while the batch runs."""

from __future__ import annotations

import time
from collections.abc import Collection
from html import escape
from urllib.parse import quote

from ..errors import ErrorCode, UserError, printable
from ..io.outputs import MESH, PAGE, PAGE_MARK, PREVIEW, THUMBNAIL
from .manifest import MANIFEST, Entry
from .results import THUMBNAIL_SIZE
from .storage import Storage

INDEX = "index.html"
PAGE_LENGTH = 500
"""Pictures on a page. Those that fill one are moved from the index to a page of their own."""
INTERVAL = 5.0
"""Seconds between two renewals."""
_STYLE = """body{font:15px/1.4 system-ui,sans-serif;margin:2em;color:#222;background:#fff}
ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:1em}
li{width:256px;overflow-wrap:anywhere}
img{display:block;background:#eee}
small{color:#666}
.error{color:#a00}"""


class Index:
    """Collects the entries of a batch and writes its pages."""

    def __init__(self, storage: Storage, there: Collection[str], force: bool):
        """``there``: the files of the storage. Raises UserError (``bad_output``) for an index that is not ours."""
        self._storage = storage
        self._rows: list[str] = []
        self._pages = 0
        self._made = self._failed = 0
        self._written = 0.0
        if not force and INDEX in there and not storage.is_ours(INDEX, PAGE):
            raise UserError(
                ErrorCode.BAD_OUTPUT,
                f"{INDEX} in the folder of the results was not written by this program: choose another folder with "
                "--out, or replace it with --force.",
            )

    def add(self, entry: Entry) -> None:
        """Show one more picture, at the next renewal."""
        if len(self._rows) == PAGE_LENGTH:
            self._pages += 1
            self._write(_page_name(self._pages), f"Page {self._pages}", f'<a href="{INDEX}">Index</a>', False)
            self._rows.clear()
        self._rows.append(_row(entry))
        self._made += entry.error is None
        self._failed += entry.error is not None

    def renew(self, is_running: bool = True) -> None:
        """Write the index, unless that was just done and the batch is still running. Raises OSError."""
        if is_running and time.monotonic() - self._written < INTERVAL:
            return
        title = f"{self._made} meshes" + (", more to come" if is_running else "")
        pages = (f'<a href="{_page_name(number)}">{number}</a>' for number in range(1, self._pages + 1))
        summary = [f"{self._failed} failed" if self._failed else "", f'<a href="{MANIFEST}">Manifest</a>']
        summary += [f"Full pages: {' '.join(pages)}"] if self._pages else []
        self._write(INDEX, title, ". ".join(filter(None, summary)), is_running)
        self._written = time.monotonic()

    def _write(self, name: str, title: str, summary: str, is_running: bool) -> None:
        refresh = f'<meta http-equiv="refresh" content="{2 * INTERVAL:.0f}">\n' if is_running else ""
        content = (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{PAGE_MARK}\n{refresh}'
            f"<title>{title}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
            f"<p>{summary}</p>\n<ul>\n" + "\n".join(self._rows) + "\n</ul>\n</body>\n</html>\n"
        )
        self._storage.write({name: (content.encode(), PAGE)}, force=True)  # checked when the batch began


def _page_name(number: int) -> str:
    return f"index-{number:04}.html"


def _row(entry: Entry) -> str:
    source = escape(printable(entry.input.replace("\\", "/").rpartition("/")[2]))
    full = escape(printable(entry.input))
    if entry.error is not None:
        message = escape(printable(entry.error["message"]))
        return f'<li><span title="{full}">{source}</span><br><span class="error">{message}</span></li>'
    mesh, preview, thumbnail = (quote(entry.files[role]) for role in (MESH, PREVIEW, THUMBNAIL))
    warnings = "".join(f"<br><small>{escape(printable(warning))}</small>" for warning in entry.warnings)
    return (
        f'<li><a href="{preview}"><img src="{thumbnail}" alt="" loading="lazy" '
        f'width="{2 * THUMBNAIL_SIZE}" height="{THUMBNAIL_SIZE}"></a>'
        f'<a href="{mesh}" title="{full}">{source}</a> <small>{entry.seconds:.1f} s</small>{warnings}</li>'
    )
