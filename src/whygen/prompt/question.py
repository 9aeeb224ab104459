"""From a prompt and options to a question: units, operator, target and plan, checked before anything is paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol, runtime_checkable

from whygen.encoders import (
    AnyEncoder,
    ImageEncoder,
    TextEncoder,
    TimedEncoder,
    has_text_encoder,
    load_text_encoder,
    names_server,
    nearby_encoder,
    open_word_vectors,
)
from whygen.encoders.registry import OPENAI
from whygen.errors import UnknownNameError, UsageError
from whygen.models import EditsMedia, Model, Tokenizes, draws_pictures, output_kind, timed_kind
from whygen.prompt import gsmile
from whygen.prompt.designs import Design
from whygen.prompt.distributions import check_distribution
from whygen.prompt.edits import EditUnits, RegionUnits, check_edit, split_edit
from whygen.prompt.estimands import load_estimand
from whygen.prompt.kernels import KERNELS, Kernel, load_kernel
from whygen.prompt.noise import Steadiness
from whygen.prompt.operators import Operator, load_operator
from whygen.prompt.options import DEFAULT, PromptOptions
from whygen.prompt.pictured import picture_cut, split_pictured
from whygen.prompt.plan import Plan, check_choices, design_for
from whygen.prompt.proxy import ProxyAnswers, check_proxy, with_proxy
from whygen.prompt.reading import check_scale
from whygen.prompt.relevance import check_choice
from whygen.prompt.sentences import check_sentences
from whygen.prompt.surrogates import Surrogate, load_surrogate
from whygen.prompt.targets import (
    TARGETS,
    TIMED_TARGETS,
    Compares,
    Continues,
    Target,
    load_target,
    load_timed_target,
)
from whygen.prompt.targets.media import PICTURE_TARGETS, load_picture_target
from whygen.prompt.targets.registry import unknown_target
from whygen.prompt.units import TOKEN, Span, Splitter, Units, check_source, split
from whygen.prompt.why.suspects import check_suspects
from whygen.remote import Service
from whygen.stats.seeds import generator
from whygen.texts import character_edges
from whygen.types import Chat, Edit, OutputKind, Source

SERVER_EMBEDDINGS = "openai/text-embedding-3-small"
"""What ``target="auto"`` compares answers of OpenAI's models with, where no encoder is installed (METHODS A5)."""


@runtime_checkable
class OnServer(Protocol):
    """A model that says which server answers."""

    @property
    def service(self) -> Service: ...


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: how the prompt is cut and rendered, what is measured, and which masks are paid for."""

    units: Units
    operator: Operator
    target: Target
    plan: Plan
    seed: int

    def beside(self, proxy: ProxyAnswers | None) -> Question:
        """The question with what a cheap model did beside the surrogate; itself where none had a part."""
        if proxy is None:
            return self
        return replace(self, plan=replace(self.plan, surrogate=with_proxy(self.plan.surrogate, proxy.evidence)))

    def design(self, steadiness: Steadiness) -> Design:
        """The masks, by what is known of equal questions getting equal answers."""
        return design_for(len(self.units), self.plan, generator(self.seed, "masks"), steadiness=steadiness)


def check(prompt: object, options: PromptOptions) -> None:
    """Refuse what cannot work before a model is opened.

    Raises:
        UsageError: for a choice that cannot work.
    """
    check_source(prompt)
    if isinstance(prompt, Edit):
        check_edit(prompt)
    check_choices(options)
    if options.proxy is not None or options.proxy_budget != DEFAULT.proxy_budget:
        check_proxy(options)
    check_scale(options.scale)
    check_choice(options.irrelevant)
    if options.distribution is not None:
        check_distribution(options.distribution, draws=options.draws, references=options.references)
    load_operator(options.operator, options.operator_options)
    check_names(options)


def check_names(options: PromptOptions) -> None:
    """Refuse names that nobody knows, and arguments of targets that cannot be read; no encoder is opened for it.

    Raises:
        UnknownNameError: naming the nearest.
        UsageError: for a target without what it needs.
    """
    _surrogate(options)
    if isinstance(options.kernel, str) and options.kernel not in KERNELS:
        raise UnknownNameError("kernel", options.kernel, KERNELS)
    if isinstance(options.target, str):
        head = options.target.partition(":")[0]
        if head not in {"auto", *TARGETS, *PICTURE_TARGETS, *TIMED_TARGETS}:
            raise unknown_target(options.target)
        if head in TARGETS and "encoder" not in TARGETS[head].takes:
            load_target(options.target)


def check_cut(prompt: Source, options: PromptOptions) -> Units | None:
    """The prompt as it would be cut, or a refusal; None where only the model can tell.

    Raises:
        UsageError: for units or pins that cannot be.
    """
    if isinstance(prompt, Edit) or options.units == TOKEN:
        return None
    if isinstance(prompt, Chat) and (cut := picture_cut(prompt, options)) is not None:
        units: Units = split_pictured(prompt, options, *cut)
    else:
        units = split(prompt, options.units, pin=options.pin, within=options.within, passages=options.passages)
    if options.suspect is not None:
        check_suspects(units, options.suspect)
    return units


def prepare(prompt: Source, options: PromptOptions, *, model: Model, encoder: AnyEncoder, seed: int) -> Question:
    """Cut the prompt and open what the options name.

    Raises:
        UsageError: for a choice that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if an encoder or an extra is missing.
    """
    if isinstance(prompt, Edit):
        _check_edits(model, prompt)
    units = _units(prompt, options, model)
    return prepare_units(units, options, model=model, encoder=encoder, seed=seed)


def _check_edits(model: Model, edit: Edit) -> None:
    """Refuse a sound or a video where the model changes pictures, before anything is paid; of pictures it speaks."""
    able = model.edits if isinstance(model, EditsMedia) else ("picture",)
    if edit.kind == "picture" or edit.kind in able:
        return
    raise UsageError(
        f"{model.uri} changes {' and '.join(NOUNS[kind] for kind in able) or 'nothing'}, and was given "
        f"{NOUNS[edit.kind]}. Explain a function that calls an editor of these: def f(edit: Edit) -> "
        f"{type(edit.image).__name__}."
    )


NOUNS: Mapping[OutputKind, str] = {"picture": "pictures", "sound": "sounds", "frames": "videos", "text": "texts"}


def prepare_units(units: Units, options: PromptOptions, *, model: Model, encoder: AnyEncoder, seed: int) -> Question:
    """The same for a prompt that is cut already."""
    target, texts = _target(options, encoder, model, units)
    check_target(target, options, answers=_answers(model, units))
    plan = replace(plan_for(options, target, encoder=encoder, texts=texts), fixed=_fixed(options, units))
    operator = load_operator(options.operator, options.operator_options)
    question = Question(units, operator, target, plan, seed)
    question.design("known")  # refuse a budget before anything is paid
    return question


def plan_for(
    options: PromptOptions,
    target: Target,
    *,
    encoder: AnyEncoder,
    texts: str | TextEncoder,
    kernel: Kernel | None = None,
) -> Plan:
    """How answers are read.

    Args:
        options: what was chosen.
        target: what is measured.
        encoder: as it was given.
        texts: the encoder of texts, for kernels that need one.
        kernel: of `local`, if not what the options name.
    """
    return Plan(
        options=options,
        surrogate=_surrogate(options),
        kernel=kernel or _kernel(options, texts),
        verb=target.verb,
        texts=target.texts if isinstance(target, Continues) else 1,
        encoder=encoder,
    )


def _units(prompt: Source, options: PromptOptions, model: Model) -> Units:
    if isinstance(prompt, Edit):
        return split_edit(prompt, options.units, pin=options.pin, fill=options.fill, regions=options.regions)
    if isinstance(prompt, Chat) and (cut := picture_cut(prompt, options)) is not None:
        return split_pictured(prompt, options, *cut)
    splitter = token_splitter(model) if options.units == TOKEN else None
    return split(
        prompt, options.units, pin=options.pin, within=options.within, passages=options.passages, splitter=splitter
    )


def _is_auto(options: PromptOptions) -> bool:
    """Whether the target is whygen's to choose. A target of one's own is not compared: it may define equality."""
    return isinstance(options.target, str) and options.target == "auto"


def find_encoder(encoder: object, options: PromptOptions, model: Model) -> TextEncoder | None:
    """The embeddings of the model's own server, where it runs on this machine and nothing else was named or installed.

    It is looked for before anything is paid, and only by what sends something anyway: never to foresee.
    """
    compares = _is_auto(options) and output_kind(model) == "text" and not has_text_encoder()
    if encoder != "auto" or not compares or not isinstance(model, OnServer) or model.service.name == "anthropic":
        return None
    return nearby_encoder(model.service)


def _target(
    options: PromptOptions, encoder: AnyEncoder, model: Model, units: Units
) -> tuple[Target, str | TextEncoder]:
    """What is measured, and the encoder of texts for those who need one."""
    answers = _answers(model, units)
    kind = answers if answers in ("sound", "frames") else None
    if isinstance(options.target, str) and kind is not None:
        return load_timed_target(options.target, kind=kind, encoder=encoder), "auto"
    if answers == "picture":
        return _picture_target(options, encoder), "auto"
    if isinstance(encoder, ImageEncoder | TimedEncoder):
        what = "pictures" if isinstance(encoder, ImageEncoder) else "sounds or videos"
        raise UsageError(f"encoder={encoder.name!r} is one of {what}, and here none are compared. Leave it out.")
    texts = encoder_for(options, encoder_of_texts(encoder, model), model)
    return load_target(options.target, encoder=texts if isinstance(options.target, str) else "auto"), texts


def _answers(model: Model, units: Units) -> OutputKind:
    """What the model answers with; one that does not say answers an edit with what it is given to change."""
    if timed_kind(model) is None and isinstance(units, EditUnits | RegionUnits) and not draws_pictures(model):
        return units.prompt.kind
    return output_kind(model)


def _picture_target(options: PromptOptions, encoder: AnyEncoder) -> Target:
    if not isinstance(options.target, str):
        return load_target(options.target)
    if not isinstance(encoder, str | ImageEncoder):
        raise UsageError(f"encoder is a {type(encoder).__name__}, which sees no pictures. Use 'patches' or 'dinov2'.")
    return load_picture_target(options.target, encoder=encoder)


def encoder_of_texts(encoder: AnyEncoder, model: Model) -> str | TextEncoder:
    """The encoder for texts: what was given, unless it is for what the model answers with instead of texts."""
    if isinstance(encoder, TextEncoder):
        return encoder
    return encoder if isinstance(encoder, str) and output_kind(model) == "text" else "auto"


_PLURAL = {"picture": "pictures", "sound": "sounds", "frames": "videos"}


def check_target(target: Target, options: PromptOptions, *, answers: OutputKind) -> None:
    """Refuse choices that do not go with the target."""
    name = target.record.name
    if options.distribution is not None and not isinstance(target, Compares):
        raise UsageError(
            f"distribution={options.distribution!r} compares answers, and target={name!r} does not. "
            "Use target='cosine' or 'optimal-transport'."
        )
    if target.verb == "score" and options.references > 1:
        raise UsageError(
            f"references={options.references} does not go with target={name!r}, which scores one. Leave it out."
        )
    if options.matrix != "none" and answers != "text":
        raise UsageError(
            f"matrix={options.matrix!r} explains the sentences of an answer, and here answers are {_PLURAL[answers]}. "
            "Leave it out."
        )
    if options.matrix != "none":
        check_sentences(target)


def encoder_for(options: PromptOptions, encoder: str | TextEncoder, model: Model) -> str | TextEncoder:
    """The encoder to use: what was given; the server's embeddings where nothing is installed; word vectors for gSMILE.

    A server's embeddings are taken unasked only from the server that answers anyway: no text goes anywhere else.
    """
    if not isinstance(encoder, str):
        return encoder
    if options.preset == "gsmile" and options.kernel == "word-mover":
        return _word_vectors(encoder)
    service = model.service if isinstance(model, OnServer) else None
    if encoder == "auto":
        wanted = _is_auto(options) and not has_text_encoder()
        if wanted and service is not None and service.name == "openai" and service.place == OPENAI:
            return load_text_encoder(SERVER_EMBEDDINGS, purpose=_purpose(service))
        return encoder
    if service is None or not names_server(encoder):
        return encoder
    address = service.base_url if encoder.startswith(f"{service.name}/") else None
    if address is None and _purpose(service) == "ask":
        return encoder  # opened by the target, if that compares answers at all
    return load_text_encoder(encoder, base_url=address, purpose=_purpose(service))


def _purpose(service: Service) -> Literal["ask", "foresee"]:
    """What the model was opened for: one elsewhere without a key can only be foreseen, and so can what it needs."""
    return "ask" if service.key is not None or service.is_local else "foresee"


def _word_vectors(encoder: str) -> TextEncoder:
    """The published distance needs static word vectors, and looks words up as they are written."""
    if encoder == "auto":
        raise UsageError(
            "preset='gsmile' measures the word mover's distance between static word vectors: give encoder=PATH, a "
            "word2vec or GloVe file (text, binary or safetensors). The published run used GoogleNews word2vec."
        )
    return open_word_vectors(encoder, lookup="as-written")


def _kernel(options: PromptOptions, encoder: str | TextEncoder) -> Kernel | None:
    if not load_estimand(options.estimand).weighted:
        return None
    return load_kernel(options.kernel, encoder=encoder) if isinstance(options.kernel, str) else options.kernel


def _surrogate(options: PromptOptions) -> Surrogate:
    if options.surrogate == "auto":
        return load_estimand(options.estimand).surrogate()
    return load_surrogate(options.surrogate)


def _fixed(options: PromptOptions, units: Units) -> Design | partial[Design] | None:
    if isinstance(options.design, Design):
        if options.design.masks.shape[1] != len(units):
            raise UsageError(
                f"design has masks of {options.design.masks.shape[1]} units, and the prompt has {len(units)} of kind "
                f"{options.units!r}. Give a column for each unit."
            )
        return options.design
    if options.design == "auto":
        return None
    return partial(gsmile.design, list(units.texts))


def token_splitter(model: Model) -> Splitter:
    """Cuts a text into the tokens that the model reads, for ``split(prompt, "token", splitter=...)``.

    A token's unit is what it shows: white space belongs to the next one, as everywhere. Tokens that share what is seen
    as one character (its bytes, a letter and its marks, joined emoji) are one unit: a prompt cannot lose half of it.

    Raises:
        UsageError: if the model does not tell its tokens.
    """
    if not isinstance(model, Tokenizes):
        raise UsageError(
            f"units={TOKEN!r} needs a model that tells its tokens, and {model.uri} does not. Use a local model "
            "(hf/ORG/NAME, hf/PATH or demo/storyteller), or units='word'."
        )
    return lambda text: _visible(text, model.token_spans(text))


def _visible(text: str, spans: list[Span]) -> list[Span]:
    """The spans without the white space around them; those that show nothing are left out."""
    visible: list[Span] = []
    edges = character_edges(text)
    for start, end in spans:
        token = text[start:end]
        if visible and start not in edges and visible[-1][1] == start:
            visible[-1] = visible[-1][0], start + len(token.rstrip())
        elif token.strip():
            visible.append((start + len(token) - len(token.lstrip()), start + len(token.rstrip())))
    return visible
