"""Encoders: texts to vectors or sets of vectors.

`load_text_encoder("auto")` is the sentence encoder that comes with its weights in the extra ``encoder``; any
sentence-transformers model can be named instead.
"""

from whygen.encoders.protocols import TextEncoder as TextEncoder
from whygen.encoders.registry import has_text_encoder as has_text_encoder
from whygen.encoders.registry import load_text_encoder as load_text_encoder

__all__ = ["TextEncoder", "has_text_encoder", "load_text_encoder"]
