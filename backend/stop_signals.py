"""Signals that ask this process to end, and that no library may lose. Standard library only: Blender imports it."""

from __future__ import annotations

import contextlib
import signal


class Stopped(BaseException):
    """A signal asks this process to end: unwinds what runs, so that it deletes its temporary files."""

    def __init__(self, number: int):
        self.number = number


class StopSignals:
    """A signal handler that unwinds the main thread: by KeyboardInterrupt for Ctrl-C, else by ``Stopped``.

    Only the first signal does: a second one must not interrupt the cleaning up.
    """

    def __init__(self) -> None:
        self._received: int | None = None

    def install(self) -> None:
        """Handle these signals, but for those that are ignored: nohup wants to go on."""
        with contextlib.suppress(ValueError):  # not the main thread, of somebody who imports this
            for number in _numbers():
                if signal.getsignal(number) != signal.SIG_IGN:
                    signal.signal(number, self)

    def __call__(self, number: int, _) -> None:
        if self._received is None:
            self._received = number
            self.repeat()

    def repeat(self) -> None:
        """Raise what the signal raised, if there was one."""
        if self._received is not None:
            raise KeyboardInterrupt if self._received == signal.SIGINT else Stopped(self._received)


def repeat_lost_stop() -> None:
    """Raise again what an installed ``StopSignals`` has raised: where a signal arrives in a callback of the garbage
    collector or of an import, Python drops the exception, and the work would go on. For the main thread."""
    for number in _numbers():
        handler = signal.getsignal(number)
        if isinstance(handler, StopSignals):
            handler.repeat()


def _numbers() -> list[int]:
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
