"""A call that a format found in a file, before it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from whygen.records.call import Call
from whygen.records.notices import Notices


class Kept(NamedTuple):
    """A call in what kept it.

    Attributes:
        read: makes the call; what is left out of it goes into the notices.
        source: where it stands, for people.
        model: as the record calls it.
        id: by which it can be picked.
        time: when it was sent, as the record writes it.
        run: of which it is a step.
    """

    read: Callable[[Notices], Call]
    source: str
    model: str = ""
    id: str = ""
    time: str = ""
    run: str = ""
