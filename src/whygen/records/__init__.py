"""Recorded calls: a request as it went over the wire to a model, from whatever kept it, and what was answered.

`Call.read` gives one call of a file, `read_calls` lists all that it holds. A format is one small reader; what they have
in common is that every error names the field, that nothing is fetched, and that no key stands in what they give.
"""

from whygen.records.call import Call
from whygen.records.reading import Recorded, read_calls

__all__ = ["Call", "Recorded", "read_calls"]
