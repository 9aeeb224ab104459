"""A recipe says what an explanation was made with, in plain data, and holds no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import whygen
from faults.server import FaultServer
from whygen.evaluation.evaluate import evaluate
from whygen.models import ModelOptions, load_model
from whygen.prompt.operators import Delete
from whygen.prompt.recipe import opened_target, options_of
from whygen.prompt.targets import load_target
from whygen.results.prompt import PromptExplanation
from whygen.results.recipe import Recipe
from whygen.types import Chat, Message

PROMPT = "tell me a story of a red fox"
GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "prompt-v2"


def exclaims(text: str) -> float:
    return float(len(text.split()))


def explained(prompt: Any = PROMPT, model: object = "planted/additive", **choices: Any) -> PromptExplanation:
    return whygen.explain_prompt(model, prompt, **{"target": "tfidf", "cache": None, "budget": 40, **choices})


def recipe_of(**choices: Any) -> Recipe:
    recipe = explained(**choices).recipe
    assert recipe is not None
    return recipe


def test_a_recipe_comes_back_from_its_folder(tmp_path: Path) -> None:
    made = explained(target="logprob:red", operator="placeholder", placeholder="[...]", pin=["fox"], seed=4)
    again = PromptExplanation.load(made.save(tmp_path / "run"))
    assert again.recipe == made.recipe
    assert again == made


def test_a_folder_of_before_recipes_loads_without_one() -> None:
    old = PromptExplanation.load(GOLDEN)
    assert (old.schema_version, old.recipe) == (2, None)
    assert old.evidence is not None
    assert (old.evidence.answers, old.evidence.nearness) == (None, None)


@pytest.mark.parametrize(
    "target",
    ["tfidf", "logprob", "logprob:red", "contrastive:a blue hen", "contains:red", "label:red,blue", "regex:r.d",
     "py/test_recipe_scores:words", re.compile("RED", re.IGNORECASE), load_target("contains", span="red"),
     load_target("logprob", span=(0, 3)), load_target("label", labels=["red", "blue"]),
     load_target("contrastive", alternative="a blue hen", distance="tfidf"), load_target("edit")],
    ids=lambda target: target if isinstance(target, str) else type(target).__name__,
)  # fmt: skip
def test_every_target_is_opened_again_from_its_recipe(
    target: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_recipe_scores.py").write_text("def words(text: str) -> float:\n    return len(text.split())\n")
    monkeypatch.chdir(tmp_path)
    made = explained(target=target)
    assert made.recipe is not None
    assert made.recipe.again == ()
    again = opened_target(made.recipe, encoder="auto")
    assert again.record.unit == made.target.unit
    assert again.verb == made.recipe.target.verb
    twice = explained(target=options_of(made, made.recipe, {}).target)
    assert [unit.attribution for unit in twice.units] == [unit.attribution for unit in made.units]


def test_what_cannot_be_written_down_is_named_and_asked_for_again() -> None:
    def local(text: str) -> float:
        return float(len(text))

    class Mine(Delete):
        pass

    made = explained(target=local, operator=Mine(name="mine"))
    recipe = made.recipe
    assert recipe is not None
    assert recipe.again == ("operator", "target")
    assert "local" in recipe.target.name
    with pytest.raises(whygen.errors.UsageError, match=r"operator='mine' was an object of your own.*Give it again"):
        options_of(made, recipe, {"target": local})
    assert options_of(made, recipe, {"target": local, "operator": Mine(name="mine")}).budget == 40


def test_a_callable_of_a_module_is_found_again() -> None:
    recipe = recipe_of(target=exclaims)
    assert recipe.target.name == f"py/{__name__}:exclaims"
    assert recipe.again == ()


def test_the_options_of_a_recipe_are_those_that_were_given() -> None:
    chosen: dict[str, Any] = {
        "budget": 45, "units": "whitespace", "pin": ("story",), "operator": "placeholder", "placeholder": "__",
        "target": "token-set", "estimand": "banzhaf", "keep": 0.8, "surrogate": "ridge", "draws": 2, "references": 2,
        "model_noise": "none", "empty": "exclude", "tolerance": 0.01, "stable": 2, "irrelevant": "exclude",
        "interactions": 2, "matrix": "sentence", "sets": 0,
    }  # fmt: skip
    made = explained(**chosen)
    assert made.recipe is not None
    options = options_of(made, made.recipe, {})
    assert {name: getattr(options, name) for name in chosen} == chosen


@pytest.mark.parametrize(
    ("prompt", "source"),
    [
        (PROMPT, "text"),
        (Chat((Message("user", PROMPT),)), "chat"),
        (whygen.types.Template("Now {a}", {"a": PROMPT}), "template"),
    ],
)
def test_the_source_is_named(prompt: Any, source: str) -> None:
    made = explained(prompt)
    assert made.recipe is not None
    assert made.recipe.source == source


def test_a_synonym_keeps_what_stood_for_each_unit() -> None:
    recipe = recipe_of(operator="synonym", lexicon={"red": "blue", "fox": "hen"})
    assert recipe.operator.lexicon == {"red": "blue", "fox": "hen"}
    assert recipe.operator.replacements == ("tell", "me", "a", "story", "of", "a", "blue", "hen")


KEY = "sk-live-0123456789abcdef"


def test_no_key_is_in_a_saved_explanation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "a-quiet-harbour-key")
    made = explained(
        operator="synonym", lexicon={"red": KEY, "fox": "a-quiet-harbour-key"}, target=f"label:red,{KEY}",
    )  # fmt: skip
    assert made.recipe is not None
    told = json.dumps(made.recipe.model_dump(mode="json"))
    assert KEY not in told
    assert "a-quiet-harbour-key" not in told
    assert {"operator", "target"} <= set(made.recipe.again)


def test_an_address_comes_without_user_password_and_query(monkeypatch: pytest.MonkeyPatch) -> None:
    from whygen.prompt.recipe import model_options, model_recipe

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    address = f"http://someone:hidden@127.0.0.1:8000/v1?key={KEY}"
    told = model_recipe(load_model("openai/name", ModelOptions(base_url=address, endpoint="completions")))
    assert (told.server, told.endpoint) == ("http://127.0.0.1:8000/v1", "completions")
    assert KEY not in told.model_dump_json()
    assert "hidden" not in told.model_dump_json()
    recipe = recipe_of().model_copy(update={"model": told})
    assert model_options(recipe, None) == ModelOptions(base_url="http://127.0.0.1:8000/v1", endpoint="completions")


def test_a_server_is_found_again_and_no_key_is_in_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FaultServer(text=lambda received: f" so {len(received.body)} it is") as server:
        address = server.url.replace("http://", "http://someone:hidden-word@")
        made = explained(model="openai/test", options=ModelOptions(base_url=address, endpoint="completions"))
        folder = made.save(tmp_path / "run")
        written = b"".join(file.read_bytes() for file in folder.iterdir())
        assert KEY.encode() not in written
        assert b"hidden-word" not in written
        assert server.url.rstrip("/").encode() in written
        asked = len(server.received)
        found = evaluate(folder, metrics="consistency", budget=200, repeats=2, cache=None)
    assert found.measure("repeatability").n == 3
    assert len(server.received) > asked


def test_many_inputs_say_so() -> None:
    system = Chat((Message("system", "Tell a story. Name a fox."),))
    over = whygen.explain_prompt("planted/additive", system, inputs=["snow", "rain"], target="tfidf", cache=None)
    assert over.recipe is not None
    assert (over.recipe.source, over.recipe.budget, over.recipe.units) == ("inputs", 128, "sentence")


def test_a_hierarchy_keeps_its_levels() -> None:
    recipe = recipe_of(
        prompt="Tell a story. Name a fox. Be quiet now.", hierarchy="sentence>word", operator="placeholder",
        placeholder="__", budget=100,
    )  # fmt: skip
    assert (recipe.hierarchy, recipe.operator.placeholder) == ("sentence>word", "__")
