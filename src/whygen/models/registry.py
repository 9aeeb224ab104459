"""Finding a model by URI: ``provider/name``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

from whygen import plugins
from whygen._arguments import typed
from whygen.errors import MissingError, UsageError, WhygenError
from whygen.models.names import SERVICES, no_uri
from whygen.models.protocols import Model, ModelOptions, Provider
from whygen.remote import is_service
from whygen.safe import is_stop, says

NO_MODEL = (
    "Name one as the first argument (model=), or by --model on the command line: a URI such as openai/NAME, hf/FOLDER "
    "or py/MODULE:FUNCTION."
)


@cache
def _found() -> tuple[dict[str, Provider], dict[str, str]]:
    """All providers that can be loaded, and why the others cannot."""
    found: dict[str, Provider] = {}
    broken = dict(plugins.left_out(plugins.MODELS))
    for name, plugin in plugins.entries(plugins.MODELS).items():
        try:
            found[name] = plugin.load(_provider)
        except MissingError as error:
            broken[name] = str(error)
    return found, broken


def _provider(loaded: object) -> Provider:
    made = loaded if isinstance(loaded, Provider) else cast(Callable[[], object], loaded)()
    if not isinstance(made, Provider):
        raise TypeError(f"it gives a {type(made).__name__}, not a whygen.models.Provider")
    return made


def providers() -> dict[str, Provider]:
    """All providers that can be loaded, by name."""
    return dict(_found()[0])


def broken_providers() -> dict[str, str]:
    """Why providers that are installed are not there, by name. They do not keep the others from working."""
    return dict(_found()[1])


def open_uri(uri: str, options: ModelOptions) -> object:
    """Whatever the URI names: a text model, or a latent generator.

    Raises:
        UsageError: if the text is no URI, or there is no such provider; names the line to type.
        MissingError: if the model needs something that is not there.

    A provider's name wins over a service of the same name; any other name is a service if it is one of `SERVICES` or
    the environment gives its address (``SERVICE_BASE_URL``), and is spoken to as OpenAI is.
    """
    provider, slash, name = uri.partition("/")
    known = providers()
    if slash and name and provider in known:
        return _opened(provider, known[provider], name, options)
    if provider in broken_providers():
        raise MissingError(broken_providers()[provider])
    if slash and name and (provider in SERVICES or is_service(provider)):
        from whygen.models.openai import open_openai

        return open_openai(name, options, service=provider)
    raise UsageError(no_uri(uri, {each.name: known_names(each) for each in known.values()}))


def _opened(provider: str, how: Provider, name: str, options: ModelOptions) -> object:
    """What a provider opens; one of another package may raise anything at all."""
    try:
        return how.open(name, options)
    except BaseException as error:
        plugin = plugins.entries(plugins.MODELS)[provider]
        if is_stop(error) or isinstance(error, WhygenError) or plugin.is_own:
            raise
        raise UsageError(
            f"The provider {provider!r} ({plugin.value}) raised {says(error)} when it opened {provider}/{name}. Check "
            "the name, or ask the author of its package."
        ) from error


def known_names(provider: Provider) -> tuple[str, ...]:
    """The names that a provider knows; none where it cannot list them."""
    try:
        return tuple(provider.names())
    except BaseException as error:  # a package of others, which may do anything
        if is_stop(error):
            raise
        return ()


@typed()
def load_model(model: object, options: ModelOptions | None = None) -> Model:
    """A text model, from a URI, a callable ``str -> str`` (or a batch callable), a model object or its class.

    So are a transformers model with its tokenizer, ``(model, tokenizer)``, and a text pipeline, see `held_model`.

    Raises:
        UsageError: if it is none of these, or the provider is unknown.
        MissingError: if the provider, a package or a file it needs is missing.
    """
    from whygen.models.held import held_model
    from whygen.models.python import CallableModel

    options = options or ModelOptions()
    if options.executor is not None:
        from whygen.models.ray import open_on_ray

        return open_on_ray(model, options)
    opened = open_uri(model, options) if isinstance(model, str) else model
    brought = opened.function if isinstance(opened, CallableModel) else opened  # what py/ makes of a pipeline, too
    opened = held_model(brought, options) or opened
    if isinstance(opened, type) and hasattr(opened, "answer"):
        opened = cast(Callable[[], object], opened)()
    if isinstance(opened, Model):
        return opened
    if callable(opened):
        return CallableModel(opened)
    if hasattr(opened, "encode") and hasattr(opened, "decode"):
        raise UsageError(
            f"model is a {type(opened).__name__}, which encodes and decodes samples and answers no prompt: it is "
            "explained by explain_anchors (whygen anchors)."
        )
    if opened is None:
        raise UsageError(f"No model was named. {NO_MODEL}")
    raise UsageError(
        f"model is a {type(opened).__name__}: give a URI, a callable str -> str, (model, tokenizer) of "
        f"transformers, or an object with uri, limits and answer().{_called_by(opened)}"
    )


def _called_by(model: object) -> str:
    """The line to type for a client or a model of another library."""
    library = type(model).__module__.partition(".")[0]
    if library in {"openai", "anthropic"}:
        return f" Give the model's name, '{library}/NAME'; ModelOptions(base_url=...) says where, if it is elsewhere."
    name = next((each for each in _METHODS if callable(getattr(model, each, None))), None)
    return "" if name is None else f" Give lambda prompt: model.{name}(prompt), if that returns the text."


_METHODS = ("invoke", "generate", "complete", "predict", "run", "chat", "ask", "respond", "prompt", "query")
"""By which models of other libraries are asked."""
