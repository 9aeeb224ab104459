"""Distances between outputs: numpy arrays or texts in, numpy arrays out; no encoder, no model, no file is known here.

Every distance takes n items and one reference and returns n float64 numbers, at least 0 and finite, in a fixed unit:
nothing is rescaled over the items, so numbers can be compared between prompts, runs and models. `VECTORS`, `SETS` and
`TEXTS` list them by what they compare; `find` gives the record that names title and unit. `sliced` stands outside the
lists, as it also needs directions.
"""

from whygen.distances.registry import DISTANCES as DISTANCES
from whygen.distances.registry import SETS as SETS
from whygen.distances.registry import TEXTS as TEXTS
from whygen.distances.registry import VECTORS as VECTORS
from whygen.distances.registry import Distance as Distance
from whygen.distances.registry import Needs as Needs
from whygen.distances.registry import SetDistance as SetDistance
from whygen.distances.registry import TextDistance as TextDistance
from whygen.distances.registry import VectorDistance as VectorDistance
from whygen.distances.registry import find as find
from whygen.distances.sets import directions as directions
from whygen.distances.sets import energy as energy
from whygen.distances.sets import optimal_transport as optimal_transport
from whygen.distances.sets import sinkhorn as sinkhorn
from whygen.distances.sets import sliced as sliced
from whygen.distances.texts import edit as edit
from whygen.distances.texts import exact as exact
from whygen.distances.texts import tfidf as tfidf
from whygen.distances.texts import token_set as token_set
from whygen.distances.vectors import cosine as cosine
from whygen.distances.vectors import euclidean as euclidean
