"""Anchors that do not fit in memory; see `whygen.anchors.streaming.stream`."""

from whygen.anchors.streaming.stream import AnchorStream as AnchorStream
from whygen.anchors.streaming.stream import stream_anchors as stream_anchors

__all__ = ["AnchorStream", "stream_anchors"]
