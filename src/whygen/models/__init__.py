"""Models: black boxes, one folder or file an adapter, found by URI.

`load_model` opens ``provider/name``, wraps a Python callable, or takes a model object as it is. A provider is named in
the entry point group ``whygen.models``; the built-in ones use the same door.
"""

from whygen.models.latent import Generator as Generator
from whygen.models.latent import LatentModel as LatentModel
from whygen.models.latent import Posterior as Posterior
from whygen.models.latent.loading import load_latent as load_latent
from whygen.models.protocols import CUT as CUT
from whygen.models.protocols import AddsNoise as AddsNoise
from whygen.models.protocols import AnswersAlike as AnswersAlike
from whygen.models.protocols import ChecksRequests as ChecksRequests
from whygen.models.protocols import ContinuesText as ContinuesText
from whygen.models.protocols import Decodes as Decodes
from whygen.models.protocols import Denoises as Denoises
from whygen.models.protocols import EditsMedia as EditsMedia
from whygen.models.protocols import Encodes as Encodes
from whygen.models.protocols import FillsMask as FillsMask
from whygen.models.protocols import GivesNotices as GivesNotices
from whygen.models.protocols import HasContext as HasContext
from whygen.models.protocols import HasDensity as HasDensity
from whygen.models.protocols import HasIdentity as HasIdentity
from whygen.models.protocols import HasOutputKind as HasOutputKind
from whygen.models.protocols import HasWorkers as HasWorkers
from whygen.models.protocols import Inverts as Inverts
from whygen.models.protocols import LearnsKind as LearnsKind
from whygen.models.protocols import Model as Model
from whygen.models.protocols import ModelOptions as ModelOptions
from whygen.models.protocols import Provider as Provider
from whygen.models.protocols import Randomises as Randomises
from whygen.models.protocols import Samples as Samples
from whygen.models.protocols import ScoresText as ScoresText
from whygen.models.protocols import Tokenizes as Tokenizes
from whygen.models.protocols import draws_pictures as draws_pictures
from whygen.models.protocols import output_kind as output_kind
from whygen.models.protocols import timed_kind as timed_kind
from whygen.models.python import batched as batched
from whygen.models.registry import broken_providers as broken_providers
from whygen.models.registry import load_model as load_model
from whygen.models.registry import providers as providers
from whygen.models.returned import medium_from as medium_from

__all__ = [
    "CUT",
    "AddsNoise",
    "AnswersAlike",
    "ChecksRequests",
    "ContinuesText",
    "Decodes",
    "Denoises",
    "EditsMedia",
    "Encodes",
    "FillsMask",
    "Generator",
    "GivesNotices",
    "HasContext",
    "HasDensity",
    "HasIdentity",
    "HasOutputKind",
    "HasWorkers",
    "Inverts",
    "LatentModel",
    "LearnsKind",
    "Model",
    "ModelOptions",
    "Posterior",
    "Provider",
    "Randomises",
    "Samples",
    "ScoresText",
    "Tokenizes",
    "batched",
    "broken_providers",
    "draws_pictures",
    "load_latent",
    "load_model",
    "medium_from",
    "output_kind",
    "providers",
    "timed_kind",
]
