"""Trimming a template: what may go, what must stay, what the test promises, and how it begins and ends."""

import json
from itertools import pairwise

import numpy as np
import pytest

from whygen.calls import Budget, Interrupted, RunOptions, Silent
from whygen.errors import BudgetError, DataError, UsageError
from whygen.prompt.trim import foresee_trim, trim
from whygen.prompt.trim.deciding import attributions, candidates, shortened
from whygen.results.summary.trimmed import summarise_trimmed, told
from whygen.results.trimmed import Trimmed
from whygen.types import Chat, Limits, Message, Output, Settings, Template

SYSTEM = "Be brief. Write in French. Refunds take ten days. A refund needs ten days. Never swear. Sign as Otto."
INPUTS = [f"Question {number}, please." for number in range(60)]
NEEDED = {1, 5}
PAIR = {2, 3}


class Bot:
    """Says a sentence for each instruction that it follows; either of the two about refunds will do."""

    uri = "py/bot"
    limits = Limits(max_batch=64)

    def __init__(self, noise=0.0, rare=None):
        self.noise, self.rare, self.asked = noise, rare, 0

    def answers_alike(self, settings):
        return self.noise == 0.0

    @property
    def identity(self):
        return {"uri": self.uri, "noise": self.noise}

    def answer(self, requests):
        return [Output(text=self.say(request), tokens_in=self.tokens(request), tokens_out=5) for request in requests]

    def tokens(self, request):
        return sum(len(message.text.split()) for message in request.prompt.messages)

    def say(self, request):
        self.asked += 1
        *system, user = request.prompt.messages
        text = " ".join(message.text for message in system)
        rng = np.random.default_rng(request.sampling_seed)
        if self.noise and rng.random() < self.noise:
            return "What?"
        said = ["Bonjour."] * ("French" in text) + ["Dix jours."] * ("ten days" in text) + ["Otto."] * ("Otto" in text)
        if self.rare is not None and self.rare in user.text and "swear" not in text:
            return "Damn."
        return " ".join(said)


def dropped(found):
    return {number for number, unit in enumerate(found.units) if not unit.kept}


def given(**more):
    return {"inputs": INPUTS, "target": "token-set", "cache": None, "progress": Silent(), **more}


def test_what_is_idle_goes_and_of_two_that_say_the_same_one_stays():
    found = trim(Bot(), SYSTEM, **given())
    assert NEEDED.isdisjoint(dropped(found))
    assert len(dropped(found) & PAIR) == 1
    assert {0, 4} <= dropped(found)
    assert found.text.count("ten days") == 1
    assert "  " not in found.text
    assert found.text == found.text.strip()
    assert found.test.bound <= 0.1
    assert found.tokens[1] < found.tokens[0]
    assert not set(found.tests[0].dropped) & NEEDED


def test_over_these_inputs_alone_a_steady_model_needs_few_of_them_and_the_loss_is_exact():
    found = trim(Bot(), SYSTEM, **given(inputs=INPUTS[:3], over="these"))
    assert dropped(found) >= {0, 4}
    assert found.test.bound == 0.0
    assert found.unseen is None


def test_a_score_counts_falls_alone_and_a_pattern_is_one():
    found = trim(Bot(), SYSTEM, **given(target="regex:Otto"))
    assert found.sides == "one"
    assert found.text == "Sign as Otto."


def test_an_instruction_that_one_choosing_input_needs_is_kept():
    inputs = [*INPUTS[:11], "Tell me about the weather."]
    found = trim(Bot(rare="weather"), SYSTEM, **given(inputs=inputs, over="these", margin=0.2))
    assert 4 not in dropped(found)


def test_a_rare_input_of_the_test_is_named_with_what_it_was_answered():
    inputs = [*(f"Question {number}, please." for number in range(120)), "Tell me about the weather."]
    for seed in range(6):
        found = trim(Bot(rare="weather"), SYSTEM, **given(inputs=inputs, seed=seed))
        if found.worse:
            break
    [worse] = found.worse
    assert worse.text == "Tell me about the weather."
    assert (worse.before, worse.after) == ("Bonjour. Dix jours. Otto.", "Damn.")
    assert found.unseen > 0.0
    assert "121" in " ".join(told(found))


def test_a_noisy_model_is_asked_again_and_keeps_what_it_needs():
    bot = Bot(noise=0.1)
    many = [f"Question {number}, please." for number in range(200)]
    found = trim(bot, SYSTEM, **given(inputs=many, margin=0.15, settings=Settings(temperature=1.0)))
    assert NEEDED.isdisjoint(dropped(found))
    assert len(dropped(found) & PAIR) <= 1
    assert (
        found.calls.asked
        <= foresee_trim(
            bot, SYSTEM, inputs=many, margin=0.15, target="token-set", settings=Settings(temperature=1.0)
        ).calls
    )


def test_equal_seeds_ask_the_same_and_a_second_run_asks_nothing(tmp_path):
    bot, store = Bot(), tmp_path / "calls.sqlite"
    first = trim(bot, SYSTEM, **given(cache=store))
    asked = bot.asked
    again = trim(bot, SYSTEM, **given(cache=store))
    assert bot.asked == asked
    assert again.model_copy(update={"calls": first.calls}) == first
    assert again.calls.made == 0


class StopsAfter(Silent):
    """A person's interrupt once so many answers are there."""

    def __init__(self, most):
        self.most, self.seen = most, 0

    @property
    def stopped(self):
        return self.seen >= self.most

    def advance(self, n, *, cached):
        self.seen += n


def test_an_interrupted_run_keeps_the_whole_prompt_and_goes_on_from_there(tmp_path):
    bot, store = Bot(), tmp_path / "calls.sqlite"
    with pytest.raises(Interrupted) as stop:
        trim(bot, SYSTEM, **given(cache=store, progress=StopsAfter(40)))
    partial = stop.value.explanation
    assert partial.ended == "interrupt"
    assert partial.text == SYSTEM
    before = bot.asked
    whole = trim(bot, SYSTEM, **given(cache=store))
    assert whole == trim(Bot(), SYSTEM, **given()).model_copy(update={"calls": whole.calls})
    assert bot.asked < before + trim(Bot(), SYSTEM, **given()).calls.made


def test_a_bound_on_calls_ends_it_with_what_was_shown():
    found = trim(Bot(), SYSTEM, **given(run=RunOptions(spending=Budget(calls=50))))
    assert found.ended == "cost"
    assert found.text == SYSTEM
    assert found.warnings[0].code == "ended-early"


def test_the_budget_is_kept_and_too_small_a_one_names_the_smallest():
    with pytest.raises(BudgetError, match="The smallest budget that works is") as error:
        trim(Bot(), SYSTEM, **given(budget=40))
    smallest = error.value.smallest
    found = trim(Bot(), SYSTEM, **given(budget=smallest))
    assert found.calls.asked <= smallest


def test_a_template_comes_back_with_its_fields_and_braces():
    def bot(text: str) -> str:
        return " ".join(word for word in text.split() if word.startswith(("JSON", "Q")))

    given_text = 'Be nice. Answer in JSON like {"a": 1}. Here it is: {input}'
    inputs = [f"Q{number}" for number in range(60)]
    found = trim(bot, given_text, inputs=inputs, target="token-set", model_noise="none", cache=None, progress=Silent())
    assert found.text == 'Answer in JSON like {"a": 1}. {input}'
    template = Template("Be nice. Answer in JSON like {{a}}. Here it is: {x} and {y}")
    found = trim(
        bot, template, inputs=[{"x": each, "y": "z"} for each in inputs], target="token-set", model_noise="none",
        cache=None, progress=Silent(),
    )  # fmt: skip
    assert found.text.startswith("Answer in JSON like {{a}}.")
    assert found.text.endswith("{x} {y}")


def test_a_full_stop_after_a_field_is_no_instruction():
    def bot(text: str) -> str:
        return " ".join(word for word in text.split() if word.startswith(("Q", "harbor")))

    found = trim(
        bot, "Be kind. Tell of {input}. It is set in a harbor.", inputs=[f"Q{n}" for n in range(60)],
        target="token-set",
        model_noise="none", cache=None, progress=Silent(),
    )  # fmt: skip
    assert found.text == "{input}. It is set in a harbor."
    assert [unit.text for unit in found.units] == ["Be kind.", "Tell of", "It is set in a harbor."]


def test_a_chat_of_several_messages_comes_back_as_messages():
    chat = Chat((Message("system", SYSTEM), Message("user", "Hello."), Message("assistant", "Hello. Never mind.")))
    found = trim(Bot(), chat, **given())
    assert isinstance(found.chat, list)
    assert found.chat[0]["role"] == "system"
    assert "{input}" not in json.dumps(found.chat)


def test_it_is_saved_and_read_again(tmp_path):
    found = trim(Bot(), SYSTEM, **given())
    found.save(tmp_path)
    assert Trimmed.load(tmp_path) == found
    assert (tmp_path / "prompt.txt").read_text() == found.text
    assert summarise_trimmed(found)["headline"].startswith("3 of 6 units can go")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"inputs": INPUTS[:1]}, "1 input cannot show margin=0.1"),
        ({"inputs": INPUTS[:20]}, "These can show margin=0.2"),
        ({"inputs": []}, "inputs is empty"),
        ({"template": "  "}, "nothing to trim"),
        ({"template": "{input}"}, "nothing to trim"),
        ({"inputs": "one"}, "give a list"),
        ({"margin": 0.0}, "Nothing can show"),
        ({"error": 0.7}, "between 0 and 0.5"),
        ({"over": "all"}, "like-these"),
        ({"worst": -1.0}, "above 0"),
        ({"units": "field"}, "field"),
        ({"target": "logprob"}, "gives none"),
        ({"target": len}, "Give worst="),
        ({"operator": "synonym"}, "operator"),
        ({"run": RunOptions(batch="provider")}, "Leave it out"),
    ],
)
def test_what_cannot_work_is_refused_in_words(more, says):
    template = more.pop("template", SYSTEM)
    with pytest.raises((UsageError, DataError), match=says):
        trim(Bot(), template, **given(**more))


def test_inputs_that_stand_there_twice_count_once():
    found = trim(Bot(), SYSTEM, **given(inputs=[*INPUTS, *INPUTS[:7]]))
    assert found.inputs == len(INPUTS)
    assert [each.code for each in found.warnings] == ["repeated-inputs"]


@pytest.mark.parametrize(("target", "more"), [("exact", {}), ("edit", {}), ("tfidf", {}), ("contains:Otto", {})])
def test_every_kind_of_comparison_keeps_what_it_sees(target, more):
    found = trim(Bot(), SYSTEM, **given(target=target, **more))
    assert 5 not in dropped(found)
    assert found.sides == "two"
    assert {0, 4} <= dropped(found)


def test_an_answer_that_never_comes_without_a_unit_is_the_worst_loss():
    def strict(text: str) -> str:
        if "Be brief" not in text:
            raise ValueError("it lacks what it needs")
        return "fine"

    template = f"{SYSTEM} Now: {{input}}"
    found = trim(strict, template, inputs=INPUTS, target="exact", model_noise="none", cache=None, progress=Silent())
    assert 0 not in dropped(found)
    assert len(dropped(found)) == 6


def test_group_testing_finds_what_must_stay_in_few_tries():
    tried = []

    def passes(mask):
        tried.append(mask)
        return bool(mask[3] and (mask[5] or mask[6]))

    chain = shortened(list(range(16)), passes)
    assert np.flatnonzero(chain[-1]).tolist() == [3, 6]
    assert len(tried) <= 20
    assert all((a & b == b).all() for a, b in pairwise(chain))
    assert candidates(chain, most=3)[0] is chain[-1]
    assert candidates(chain[:1], most=3) == []


def test_attributions_of_a_sum_are_its_weights():
    rng = np.random.default_rng(3)
    masks, weights = rng.random((400, 5)) < 0.5, np.array([3.0, 0.0, 1.0, -2.0, 0.0])
    effects = np.stack([masks @ weights, ~masks @ weights], axis=1)
    effects[7, 1] = np.nan
    assert attributions(masks, effects) == pytest.approx(weights, abs=0.05)
