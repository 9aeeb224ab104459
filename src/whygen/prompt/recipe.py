"""From a run to its recipe, and from a recipe to what runs: options, target, operator, masks as they were drawn.

`recipe_of` writes down what was chosen; the other functions open it again. Whatever cannot be written down is named in
`Recipe.again`, and refused where it is needed and was not given.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from whygen.encoders import ImageEncoder, TextEncoder, TimedEncoder
from whygen.errors import UsageError
from whygen.models import HasIdentity, Model, ModelOptions
from whygen.prompt.answers import Answers
from whygen.prompt.designs import Design
from whygen.prompt.estimands import load_estimand
from whygen.prompt.operators.base import Operator, Substitute
from whygen.prompt.operators.registry import BELONGS
from whygen.prompt.options import PRESETS, PromptOptions
from whygen.prompt.plan import Plan
from whygen.prompt.saved import design_of
from whygen.prompt.targets import TARGETS, TIMED_TARGETS, Target, load_target, load_timed_target
from whygen.prompt.targets.called import OutputScore, TextScore, name_of
from whygen.prompt.targets.compared import ContrastiveDistance
from whygen.prompt.targets.media import PICTURE_TARGETS, load_picture_target
from whygen.prompt.targets.scored import Contains, ContrastiveLogProbability, SpanLogProbability
from whygen.prompt.units import ChatUnits, TemplateUnits, Units
from whygen.results.prompt import PromptExplanation
from whygen.results.recipe import DesignRecipe, ModelRecipe, OperatorRecipe, Recipe, TargetRecipe
from whygen.safe import without_secrets
from whygen.types import Edit, JsonValue, OutputKind, digest

_FLAGS = (("i", re.IGNORECASE), ("m", re.MULTILINE), ("s", re.DOTALL), ("x", re.VERBOSE), ("a", re.ASCII))

SAME = frozenset(
    {"budget", "regions", "fill", "estimand", "scale", "draws", "references", "model_noise", "distribution", "empty",
     "tolerance", "stable", "irrelevant", "hierarchy", "interactions", "matrix", "sets", "pin", "within", "passages",
     "suspect"}
)  # fmt: skip
"""Options that stand in a recipe as they were given."""


def recipe_of(answers: Answers, target: Target, plan: Plan) -> Recipe:
    """What a run was made with, without anything secret.

    Args:
        answers: of the run: the model, the units, the operator as it rendered, the masks as they were drawn.
        target: what was measured.
        plan: the choices.
    """
    options, again = plan.options, set[str]()
    recipe = Recipe(
        **{name: getattr(options, name) for name in SAME - {"pin", "within"}},
        pin=tuple(options.pin),
        within=tuple(options.within),
        source=_source(answers.units),
        model=answers.model,
        units=options.units if isinstance(options.units, str) else answers.units.spans,
        operator=_operator(options, answers.operator, again),
        target=_target(options.target, target, again),
        design=_design(options, answers.design),
        kernel=_named("kernel", options.kernel, again),
        surrogate=options.surrogate,
        proxy=None if options.proxy is None else _named("proxy", options.proxy, again),
        proxy_budget=None if options.proxy is None else options.proxy_budget,
        steadiness=answers.steadiness,
        encoder=_encoder(plan.encoder, target, again),
    )
    return _clean(recipe, again)


def _source(units: Units) -> Any:
    if isinstance(units.prompt, Edit):
        return "edit"
    return "chat" if isinstance(units, ChatUnits) else "template" if isinstance(units, TemplateUnits) else "text"


def model_recipe(model: Model) -> ModelRecipe:
    """Which model, at which server."""
    identity: Mapping[str, JsonValue] = (model.identity if isinstance(model, HasIdentity) else {"uri": model.uri}) or {}
    told = {name: str(value) for name in ("endpoint", "dtype") if (value := identity.get(name)) is not None}
    server = identity.get("base_url")
    known = digest(dict(identity)) if identity else None
    return ModelRecipe(uri=model.uri, server=None if server is None else str(server), identity=known, **told)


def _operator(options: PromptOptions, operator: Operator, again: set[str]) -> OperatorRecipe:
    replacements = operator.replacements if isinstance(operator, Substitute) else None
    if not isinstance(options.operator, str):
        place = None if isinstance(options.operator, Operator) else _place_of(options.operator)
        again.update(() if place else ("operator",))
        return OperatorRecipe(name=place or operator.name, replacements=replacements)
    lexicon = options.lexicon
    return OperatorRecipe(
        name=options.operator,
        placeholder=options.placeholder,
        lexicon=str(lexicon) if isinstance(lexicon, Path) else lexicon,
        infill=None if options.infill is None else _named("infill", options.infill, again),
        paraphraser=None if options.paraphraser is None else _named("paraphraser", options.paraphraser, again),
        instruction=options.instruction,
        noise=options.noise,
        replacements=replacements,
    )


def _target(given: object, target: Target, again: set[str]) -> TargetRecipe:
    """A target that comes with whygen by its name and argument, any other by where it stands, or by name alone."""
    if isinstance(given, str) and given != "auto":
        return TargetRecipe(name=given, verb=target.verb)
    if isinstance(given, re.Pattern):
        pattern = cast("re.Pattern[str]", given)
        flags = "".join(letter for letter, flag in _FLAGS if pattern.flags & flag)
        return TargetRecipe(name=f"regex:{f'(?{flags})' if flags else ''}{pattern.pattern}", verb=target.verb)
    name = target.record.name
    scored = target.score if isinstance(target, TextScore | OutputScore) and not name.startswith("regex:") else None
    if scored is None and (type(target).__module__.startswith("whygen.") or name.partition(":")[0] in TARGETS):
        return TargetRecipe(name=name, verb=target.verb, **_argument(target))
    place = _place_of(scored or target)
    again.update(() if place else ("target",))
    return TargetRecipe(name=place or (name if scored is None else name_of(scored)), verb=target.verb)


def _argument(target: Target) -> dict[str, Any]:
    """What a name alone does not say: part of the output, or the text that it could have said."""
    if isinstance(target, SpanLogProbability | Contains):
        return {"span": target.span}
    if isinstance(target, ContrastiveLogProbability):
        return {"alternative": target.alternative}
    if isinstance(target, ContrastiveDistance):
        return {"alternative": target.alternative, "distance": cast("Target", target.base).record.name}
    return {}


def _design(options: PromptOptions, design: Design) -> DesignRecipe:
    return DesignRecipe(
        name=options.design if isinstance(options.design, str) else "own",
        keep=design.keep,
        sizes=None if design.sizes is None else tuple(design.sizes.tolist()),
        kept=None if design.kept is None else tuple(design.kept.tolist()),
        drawn_from=design.drawn_from,
        population=design.population,
    )


def _encoder(given: object, target: Target, again: set[str]) -> str:
    """The name that opens what compared the answers; ``auto`` becomes what it was."""
    found = getattr(target, "encoder", None)
    if isinstance(given, str):
        return str(found.name) if given == "auto" and isinstance(found, TextEncoder) else given
    if not isinstance(given, TextEncoder | ImageEncoder | TimedEncoder):
        return "auto"
    if not type(given).__module__.startswith("whygen."):
        again.add("encoder")
    return str(given.name)


def _named(argument: str, value: object, again: set[str]) -> str:
    """A name, as it is; an object by where it stands in a module, else by its own name, to be given again."""
    if isinstance(value, str):
        return value
    place = _place_of(value)
    if place is None:
        again.add(argument)
    return place or str(getattr(value, "name", None) or getattr(value, "uri", None) or name_of(value))


def _place_of(thing: object) -> str | None:
    """``py/module:name`` where that gives this very thing in another process too; else None."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    if module in {"__main__", "builtins"} or module not in sys.modules:
        return None
    name = getattr(thing, "__qualname__", None)
    # A name counts only if it gives this very object: functions inside functions and replaced ones have the same name.
    held: Mapping[str, object] = vars(sys.modules[module])
    found = [name] if name and held.get(name) is thing else [key for key, each in held.items() if each is thing]
    return f"py/{module}:{found[0]}" if found and str(found[0]).isidentifier() else None


def _clean(recipe: Recipe, again: set[str]) -> Recipe:
    """The recipe without what looks like a key; what held one must be given again."""
    # The prompt and the answers are the person's own and stay; what is cleaned is what opens models and files.
    before = recipe.model_dump()
    after = {name: _scrubbed(value) for name, value in before.items()}
    again |= {name for name in before if after[name] != before[name]}
    return Recipe.model_validate({**after, "again": tuple(sorted(again))})


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {without_secrets(str(name)): _scrubbed(each) for name, each in cast("Mapping[str, Any]", value).items()}
    return tuple(_scrubbed(each) for each in cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value


def options_of(
    explanation: PromptExplanation, recipe: Recipe, given: Mapping[str, Any], *, other_units: bool = False
) -> PromptOptions:
    """The options that an explanation was made with, with what was given in their place.

    Args:
        explanation: whose recipe it is.
        recipe: of the explanation.
        given: options by name, among them objects that the recipe could only name.
        other_units: whether another prompt is meant: what stood for each unit of this one is of no use then.

    Raises:
        UsageError: if something that must be given again was not.
    """
    # What stood for each unit is on record: neither its lexicon nor a model that filled in is needed for this prompt.
    own = "operator" not in given and recipe.operator.replacements is not None and not other_units
    again = set(recipe.again) - {"encoder", "proxy", *given, *(("operator", *BELONGS) if own else ())}
    if again:
        raise needed(explanation, min(again))
    operator: Any = given.get("operator", _operator_of(recipe) if own else recipe.operator.name)
    goes = {name for name, ways in BELONGS.items() if isinstance(operator, str) and operator in ways}
    kept: dict[str, Any] = {name: getattr(recipe, name) for name in SAME}
    kept |= {name: value for name in goes if (value := getattr(recipe.operator, name)) is not None}
    kept |= {"surrogate": recipe.surrogate, "kernel": recipe.kernel, "operator": operator, "keep": recipe.design.keep}
    kept |= {"units": recipe.units if isinstance(recipe.units, str) else [*recipe.units], "design": recipe.design.name}
    kept["preset"] = explanation.preset if explanation.preset in PRESETS else None
    if not load_estimand(recipe.estimand).samples:  # the chance is no choice of its design
        del kept["keep"]
    if recipe.design.name == "own":
        kept["design"] = design_of(explanation)
    if "target" not in given:
        kept["target"] = opened_target(recipe, encoder="auto") if _is_made(recipe) else recipe.target.name
    return PromptOptions(
        **{name: value for name, value in {**kept, **given}.items() if name not in BELONGS or name in goes}
    )


def _is_made(recipe: Recipe) -> bool:
    """Whether a name alone does not say which target it was."""
    told = recipe.target
    return told.span is not None or told.alternative is not None


def needed(explanation: PromptExplanation, name: str) -> UsageError:
    """That something was a Python object and must be given again; an old folder may not know what it was."""
    recipe = explanation.recipe
    if recipe is None:
        return UsageError(
            f"The explanation's {name}, {explanation.target.distance!r}, had an argument or was one of your own: give "
            f"it again with {name}=, such as target='logprob:snow'."
        )
    value = getattr(recipe, name, None)
    return UsageError(
        f"{name}={getattr(value, 'name', value)!r} was an object of your own when this was explained, and cannot be "
        f"opened from its record. Give it again: {name}=."
    )


def opened_target(recipe: Recipe, *, encoder: Any = "auto", kind: OutputKind = "text") -> Target:
    """The target that a recipe names.

    Args:
        recipe: says its name and its argument.
        encoder: what it compares by, if not what the recipe names.
        kind: what the model answered with.

    Raises:
        UsageError: if it cannot be opened.
        MissingError: if its encoder is not installed.
    """
    told = recipe.target
    by = recipe.encoder if isinstance(encoder, str) and encoder == "auto" else encoder
    head = told.name.partition(":")[0]
    if kind == "picture" and head in {"auto", *PICTURE_TARGETS}:
        return load_picture_target(told.name, encoder=by)
    if kind in ("sound", "frames") and head in {"auto", *TIMED_TARGETS}:
        return load_timed_target(told.name, kind=kind, encoder=by)
    compares = TARGETS.get((told.distance or "") if head == "contrastive" else head)
    uses = compares is not None and "encoder" in compares.takes
    return load_target(
        told.name, encoder=by if uses else "auto", span=told.span, alternative=told.alternative, distance=told.distance
    )


def _operator_of(recipe: Recipe) -> Substitute:
    """The operator as it rendered: what stood for each unit, whatever that came from."""
    return Substitute(recipe.operator.name, recipe.operator.replacements or ())


def model_options(recipe: Recipe, given: ModelOptions | None) -> ModelOptions:
    """How the model is opened again: at the same server, in the same precision, unless something else is given."""
    told, chosen = recipe.model, given or ModelOptions()
    return replace(
        chosen,
        base_url=chosen.base_url or told.server,
        endpoint=chosen.endpoint or told.endpoint,
        dtype=chosen.dtype or told.dtype,
    )
