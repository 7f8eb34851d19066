"""The plot of a run's log: one panel for each logged number, as an SVG that browsers show.

python -m training.run_plot OUT      # reads OUT/log.jsonl, writes OUT/log.svg
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, GAP, COLUMNS = 420, 160, 50, 2


def plot_log(folder: Path) -> Path:
    """Draw ``log.jsonl`` of a run's folder into ``log.svg`` and return its path; events are left out."""
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "event" not in row:
            for name, value in row.items():
                if name != "step":
                    series[name].append((row["step"], value))
    panels = [_panel(name, points, number) for number, (name, points) in enumerate(series.items())]
    rows = -(-len(panels) // COLUMNS)
    size = f'width="{COLUMNS * (WIDTH + GAP) + GAP}" height="{rows * (HEIGHT + GAP) + GAP}"'
    style = 'font-family="sans-serif" font-size="12"'
    path = folder / "log.svg"
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n<rect {size} fill="white"/>\n'
        + "\n".join(panels)
        + "\n</svg>\n",
        encoding="utf-8",
    )
    return path


def _panel(name: str, points: list[tuple[float, float]], number: int) -> str:
    """One number against the step, from its least to its greatest value."""
    left, top = GAP + number % COLUMNS * (WIDTH + GAP), GAP + number // COLUMNS * (HEIGHT + GAP)
    (first, last), (low, high) = ((min(values), max(values)) for values in zip(*points, strict=True))
    x_scale, y_scale = WIDTH / max(last - first, 1), HEIGHT / max(high - low, 1e-30)
    line = " ".join(f"{left + (x - first) * x_scale:.1f},{top + (high - y) * y_scale:.1f}" for x, y in points)
    return (
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>'
        f'<text x="{left}" y="{top - 6}">{escape(name)}: {low:.4g} to {high:.4g}, last {points[-1][1]:.4g}</text>'
        f'<text x="{left}" y="{top + HEIGHT + 14}" fill="#888">step {first:g}</text>'
        f'<text x="{left + WIDTH}" y="{top + HEIGHT + 14}" fill="#888" text-anchor="end">{last:g}</text>'
        f'<polyline points="{line}" fill="none" stroke="#1f5fbf" stroke-width="1.5"/>'
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT")
    print(plot_log(parser.parse_args().folder))
