"""Distances between outputs. numpy in, numpy out: no model, no encoder, no file.

Three kinds, by what they compare: vectors (``cosine``, ``euclidean``), sets of vectors (``optimal_transport``,
``energy``, ``sinkhorn``) and texts that need no encoder (``tfidf``, ``token_set``, ``edit``, ``exact``). Each takes the
items and one reference, and returns one number an item, zero or more; nothing depends on the order of the items.
"""

from whygen.distances.sets import energy as energy
from whygen.distances.sets import optimal_transport as optimal_transport
from whygen.distances.sets import sinkhorn as sinkhorn
from whygen.distances.texts import edit as edit
from whygen.distances.texts import exact as exact
from whygen.distances.texts import tfidf as tfidf
from whygen.distances.texts import token_set as token_set
from whygen.distances.vectors import cosine as cosine
from whygen.distances.vectors import euclidean as euclidean

__all__ = ["cosine", "edit", "energy", "euclidean", "exact", "optimal_transport", "sinkhorn", "tfidf", "token_set"]
