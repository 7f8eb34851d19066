"""What the commands that train in resumable runs share: their arguments, and how a run ends."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from training.config import RunConfig
from training.distributed import ProcessGroup
from training.run_log import RunLog
from training.run_plot import plot_log
from training.run_state import RunState


def run_parser(description: str | None, config_type: type[RunConfig]) -> argparse.ArgumentParser:
    """A parser of the arguments that all runs have; ``config_type`` is what the TOML file describes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    fields = f"training.config.{config_type.__name__}"
    parser.add_argument("config", type=Path, help=f"TOML file with the fields of {fields}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    parser.add_argument(
        "--objects", type=Path, nargs="*", default=[], help="object packs; none: only procedural scenes"
    )
    parser.add_argument("--minutes", type=float, help="stop after this long, all included, and write the checkpoint")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the configuration")
    return parser


def end_run(state: RunState, group: ProcessGroup, log: RunLog, out: Path, begin: float) -> None:
    """Write the last checkpoint, the log's last row and the plot; ``begin`` is of ``time.monotonic``."""
    if group.is_main:
        state.save(out)
        log.write(event="end", step=state.step, minutes=(time.monotonic() - begin) / 60)
        plot_log(out)
