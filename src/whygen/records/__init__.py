"""Recorded calls: a request as it went over the wire to a model, from whatever kept it, and what was answered."""

from whygen.records.call import Call

__all__ = ["Call"]
