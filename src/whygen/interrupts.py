"""Signals that end a run: Ctrl-C (SIGINT), SIGTERM and SIGHUP are heard alike.

A run that hears the first sends nothing more and records what is on its way; the second ends it at once. A signal that
somebody else handles, or that the process was told to ignore (``nohup``), is left alone.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, NoReturn

INTERRUPTED: Final = 130
"""Exit code of a process that was ended by a signal."""
SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
_MARK = "_ends_whygen"


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


setattr(_raise, _MARK, True)


def _is_free(number: int) -> bool:
    """Whether a signal does what it does by itself, or what whygen makes of it."""
    handler = signal.getsignal(number)
    return handler in (signal.SIG_DFL, signal.default_int_handler) or getattr(handler, _MARK, False)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any]) -> Generator[None, None, None]:
    """Let a handler take all signals that are free, and give them back."""
    free: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        free = {number: signal.getsignal(number) for number in SIGNALS if _is_free(number)}
    for number in free:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, usual in free.items():
            signal.signal(number, usual)


@contextmanager
def interrupts_to(stop: Callable[[], None], *, within: float | None = None) -> Generator[None, None, None]:
    """Let the first signal call ``stop``, so that it cannot hit between an answer's arrival and its recording.

    The second raises `KeyboardInterrupt` wherever the main thread is.

    Args:
        stop: called in a signal handler.
        within: seconds after which the first signal interrupts too, where nothing else would end a call that hangs.
    """
    timers: list[threading.Timer] = []

    def hear(number: int, frame: FrameType | None) -> None:
        if timers:
            _raise(number, frame)
        timers.append(threading.Timer(within or 0.0, _interrupt_main, (number,)))
        if within is not None:
            timers[0].daemon = True
            timers[0].start()
        stop()

    setattr(hear, _MARK, True)
    try:
        with _handled(hear):
            yield
    finally:
        for timer in timers:
            timer.cancel()


def _interrupt_main(number: int) -> None:
    """Send the signal to the main thread: only there it ends a call of the system that waits."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


@contextmanager
def interrupts_raise() -> Generator[None, None, None]:
    """Let every signal raise `KeyboardInterrupt`, as Ctrl-C does."""
    with _handled(_raise):
        yield


class Interrupts:
    """The signals of a command line, from its first import to its end.

    While nothing has begun (``ready`` is False) a signal ends the process with one line: an exception in the middle of
    an import comes out as anything. After that it raises `KeyboardInterrupt`, and is noted in ``heard`` in case a
    library makes another error of it.
    """

    def __init__(self) -> None:
        self.ready = False
        self.heard = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.heard = True
        if not self.ready:
            with suppress(OSError, ValueError):  # the terminal may be gone
                os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"Interrupted.\n")
            os._exit(INTERRUPTED)
        _raise(number, frame)

    @contextmanager
    def handled(self) -> Generator[None, None, None]:
        """Take the signals."""
        setattr(self, _MARK, True)
        with _handled(self):
            yield
