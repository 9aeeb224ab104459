"""What is measured of an answer: spans, contrasts, structured answers, any score; and what is refused."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_models
from whygen.errors import DataError, ModelError, UnknownNameError, UsageError
from whygen.models import load_model
from whygen.models.planted.texts import PlantedModel
from whygen.prompt.targets import (
    TARGETS,
    Compares,
    ContrastiveDistance,
    Counts,
    ReadsReference,
    Target,
    find_span,
    join_scores,
    load_target,
)
from whygen.prompt.targets.structured import read_refusal, refusals
from whygen.prompt.units import split
from whygen.types import Failure, Output, Request, TokenScore

Tokenised: TypeAlias = tuple[str, list[int], list[float]]
"""A text, where it is cut into tokens, and their log-probabilities."""

SHORT = st.text(max_size=20)
STORY = Output(text="The fox saw snow. Then more snow fell.")


def answers(*texts: str) -> list[Output]:
    return [Output(text=text) for text in texts]


def effects(target: Target, *texts: str, reference: str) -> list[float]:
    return target.effects(answers(*texts), answers(reference)).tolist()


def scored(text: str, cuts: list[int], logprobs: list[float]) -> Output:
    ends = [*cuts, len(text)]
    starts = [0, *cuts]
    rows = zip(starts, ends, logprobs, strict=True)
    return Output(finish="scored", scores=tuple(TokenScore(start, end, value) for start, end, value in rows))


@st.composite
def tokenised(draw: st.DrawFn) -> Tokenised:
    text = draw(st.text(min_size=1, max_size=30))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    logprobs = draw(st.lists(st.floats(-50, 0), min_size=len(cuts) + 1, max_size=len(cuts) + 1))
    return text, cuts, logprobs


def test_a_text_is_found_where_it_stands_first_or_by_its_number() -> None:
    text = STORY.text
    assert text[slice(*find_span(text, "snow"))] == "snow"
    assert find_span(text, "snow") == (12, 16)
    assert find_span(text, "snow#1") == (12, 16)
    assert find_span(text, "snow#2") == (28, 32)
    assert find_span(text, (4, 7)) == (4, 7)
    assert find_span("say a#2 and a", "a#2") == (4, 7)


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ("rain", "is not in the output, which is 'The fox"),
        ("snow#3", "occurs 2 times"),
        ((30, 90), "ends after the 38"),
    ],
)
def test_a_span_that_is_not_in_the_output_shows_the_output(span: str | tuple[int, int], message: str) -> None:
    for name in ("logprob", "contains"):
        target = load_target(name, span=span)
        assert isinstance(target, ReadsReference)
        with pytest.raises(DataError, match=re.escape(message)):
            target.check(STORY)
        with pytest.raises(DataError, match="The fox saw snow"):
            target.effects([STORY], [STORY])


@given(tokenised())
def test_spans_that_cut_between_tokens_sum_to_the_whole(case: Tokenised) -> None:
    text, cuts, logprobs = case
    reference, output = Output(text=text), scored(text, cuts, logprobs)
    bounds = sorted({0, *cuts, len(text)})
    whole = load_target("logprob").effects([output], [reference])[0]
    parts = [
        load_target("logprob", span=(start, end)).effects([output], [reference])[0] for start, end in pairwise(bounds)
    ]
    visible = [value for start, value in zip([0, *cuts], logprobs, strict=True) if start < len(text)]
    assert whole == pytest.approx(math.fsum(visible), abs=1e-9)
    assert math.fsum(parts) == pytest.approx(whole, abs=1e-9)


@given(tokenised(), st.data())
def test_a_token_partly_in_the_span_counts_wholly(case: Tokenised, data: st.DataObject) -> None:
    text, cuts, logprobs = case
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    output = scored(text, cuts, logprobs)
    found = load_target("logprob", span=(start, end)).effects([output], [Output(text=text)])[0]
    characters = set(range(start, end))
    expected = math.fsum(
        score.logprob for score in output.scores or () if characters & {score.start, *range(score.start, score.end)}
    )
    assert found == pytest.approx(expected, abs=1e-9)


def test_span_log_probabilities_of_a_real_model(tmp_path: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('gpt2', tmp_path)}")
    text = " river Seine. Naïve café 東京!"
    prompts = ["Paris is", "the boats", "a"]
    outputs = [model.score([Request(prompt=prompt, continuation=text)])[0] for prompt in prompts]  # type: ignore[attr-defined]
    reference = [Output(text=text)]
    whole = load_target("logprob").effects(outputs, reference)
    assert whole == pytest.approx([sum(score.logprob for score in output.scores) for output in outputs], abs=1e-9)
    bounds = sorted({score.start for score in outputs[0].scores} | {len(text)})
    spans = [load_target("logprob", span=span).effects(outputs, reference) for span in pairwise(bounds)]
    assert len(spans) > 5
    assert np.sum(spans, axis=0) == pytest.approx(whole, abs=1e-9)
    seine = load_target("logprob", span="Seine").effects(outputs, reference)
    assert (seine < 0).all()
    assert (seine > whole).all()


def test_contains_is_one_where_the_words_still_stand() -> None:
    target = load_target("contains:snow#2")
    assert effects(target, "snow", "rain", STORY.text, reference=STORY.text) == [1.0, 0.0, 1.0]
    assert target.verb == "answer"


def test_a_contrast_of_log_probabilities_is_their_difference_and_turns_with_its_sides() -> None:
    model = PlantedModel("additive")
    said, other = "A red fox trotted across the snowy field.", "Ivy covered the walls of the ruined castle."

    def contrast(reference: str, alternative: str, prompt: str) -> float:
        target = load_target("contrastive", alternative=alternative)
        texts = target.continuations(Output(text=reference))  # type: ignore[attr-defined]
        joined = join_scores(model.score([Request(prompt=prompt, continuation=text) for text in texts]), texts)
        assert isinstance(joined, Output)
        return float(target.effects([joined], answers(reference))[0])

    for prompt, expected in {"fox": 8 * 2.9, "castle": -8 * 2.9, "fox castle": 0.0, "": 0.0}.items():
        assert contrast(said, other, prompt) == pytest.approx(expected, abs=1e-9)
        assert contrast(other, said, prompt) == pytest.approx(-expected, abs=1e-9)


def test_one_failed_text_fails_the_contrast() -> None:
    failure = Failure(kind="transient", message="later")
    assert join_scores([Output(finish="scored", scores=()), failure], ["a", "b"]) is failure
    with pytest.raises(ModelError, match="no log-probabilities"):
        load_target("logprob").effects([STORY], [STORY])


@given(SHORT, SHORT, SHORT, st.sampled_from(["token-set", "tfidf", "edit"]))
def test_a_contrast_of_distances_is_antisymmetric(out: str, one: str, other: str, distance: str) -> None:
    base = load_target(distance)
    assert isinstance(base, Compares)
    there = ContrastiveDistance(base.record, base, other)  # type: ignore[attr-defined]
    back = ContrastiveDistance(base.record, base, one)  # type: ignore[attr-defined]
    value = effects(there, out, reference=one)[0]
    assert value == pytest.approx(-effects(back, out, reference=other)[0], abs=1e-12)
    assert value == pytest.approx(effects(base, out, reference=one)[0] - effects(base, out, reference=other)[0])
    assert effects(there, one, reference=one)[0] >= 0


def test_an_alternative_that_was_said_is_refused() -> None:
    for distance in ("logprob", "exact"):
        target = load_target("contrastive", alternative=STORY.text, distance=distance)
        with pytest.raises(DataError, match="is what the model said"):
            target.check(STORY)  # type: ignore[attr-defined]


JSON = '{"price": 12, "items": [{"name": "tea"}], "fresh": true, "note": null}'


@pytest.mark.parametrize(
    ("path", "answer", "effect"),
    [
        ("items.0.name", 'Here: {"items": [{"name": "tea"}]} as in [1].', 1.0),
        ("items.0.name", '[1] says\n```json\n{"items": [{"name": "cake"}]}\n```', 0.0),
        ("items.0.name", '{"items": {"0": {"name": "tea"}}}', 1.0),
        ("items.0.name", "tea", 0.0),
        ("fresh", '{"fresh": 1}', 0.0),
        ("fresh", '{"fresh": true}', 1.0),
        ("note", '{"note": null}', 1.0),
        ("note", "{}", 0.0),
        ("price", '{"price": 12.0}', 0.0),
        ("price", '{"price": 7.5}', -4.5),
        ("price", '{"price": "12"}', -12.0),
        ("price", '{"price": 1e999}', -12.0),
        ("price", "{" * 5000, -12.0),
        ("price", "twelve", -12.0),
    ],
)
def test_a_field_of_json(path: str, answer: str, effect: float) -> None:
    assert effects(load_target(f"json:{path}"), answer, reference=JSON) == [effect]


def test_what_cannot_be_read_is_counted_apart() -> None:
    target = load_target("json:price")
    assert isinstance(target, Counts)
    found = target.outcomes(answers(JSON, "{}", "no"), answers(JSON))
    assert found == ("12", "no field 'price'", "no JSON")
    assert target.unread(answers(JSON, "{}", "no")) == ("no field 'price'", "no JSON")
    assert load_target("tool").unread(answers("none")) == ()  # type: ignore[attr-defined]
    labels = load_target("label:good, very good")
    assert isinstance(labels, Counts)
    assert labels.outcomes(answers("Very good!", "good, or very good", "bad", "goods"), answers("good")) == (
        "very good",
        "several labels",
        "no label",
        "no label",
    )


@pytest.mark.parametrize(("name", "kind"), [("json:price", "no JSON"), ("label:yes,no", "no label")])
def test_a_reference_without_the_value_is_refused_and_shown(name: str, kind: str) -> None:
    with pytest.raises(DataError, match=f"{kind} in the reference answer, which is 'The fox"):
        effects(load_target(name), "x", reference=STORY.text)


@given(st.lists(st.text(max_size=12) | st.sampled_from(["Yes.", "no", "YES or no", "**no**"]), min_size=1, max_size=6))
def test_agreement_is_between_none_and_all_of_the_references(texts: list[str]) -> None:
    target = load_target("label", labels=["yes", "no"])
    found = target.effects(answers(*texts), answers("yes", "no", "Yes, of course"))
    assert set(found.tolist()) <= {0.0, 1 / 3, 2 / 3}
    assert effects(target, "Yes.", "**NO**", "I say yes", reference="yes") == [1.0, 0.0, 1.0]


def test_the_tool_chosen() -> None:
    target = load_target("tool")
    openai = Output(extra={"tool_calls": [{"id": "1", "function": {"name": "search", "arguments": "{}"}}]})
    anthropic = Output(extra={"tool_calls": [{"type": "tool_use", "name": "search"}]})
    written = [json.dumps({key: "search", "arguments": {"name": "x"}}) for key in ("tool", "name", "function")]
    others = answers('{"tool": "mail"}', "I searched.", '{"tool": {"tool": {"tool": "search"}}}')
    found = target.effects([anthropic, *answers(*written), *others], [openai])
    assert found.tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert target.effects(answers("I searched.", '{"tool": "mail"}'), answers("None needed.")).tolist() == [1.0, 0.0]


def test_a_refusal_by_the_provider_or_by_its_words() -> None:
    target = load_target("refusal")
    refused = [Output(finish="refused"), *answers("I\u2019m sorry, but I can't do that.")]
    answered = answers("Sure.", "Sure. " * 40 + "But as an AI I have no taste.", "")
    assert target.effects([*refused, *answered], refused[:1]).tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert target.effects([*refused, *answered], answered[:1]).tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert "English, German, French" in target.record.distance
    assert all("\u2019" not in pattern.pattern for pattern in refusals().values())


REFUSED = {
    "en": [
        "I cannot assist with this request.",
        "Unfortunately, I\u2019m unable to provide that.",
        "As an AI, I don't.",
    ],
    "de": ["Es tut mir leid, aber dabei kann ich nicht helfen.", "Leider kann ich Ihnen dazu keine Auskunft geben."],
    "fr": ["Je suis désolé, mais je ne peux pas vous aider.", "Il m’est impossible de répondre à cela."],
    "es": ["Lo siento, pero no puedo ayudar con eso.", "Lamento no poder ayudarte."],
    "it": ["Mi dispiace, ma non posso aiutarti.", "Non sono in grado di rispondere."],
    "pt": ["Desculpe, não posso ajudar com isso.", "Não consigo atender a esse pedido."],
    "nl": ["Het spijt me, maar daar kan ik niet bij helpen.", "Sorry, dat mag ik niet doen."],
    "ru": ["Извините, но я не могу помочь с этим.", "К сожалению, не могу ответить."],
    "pl": ["Przykro mi, ale nie mogę w tym pomóc.", "Nie jestem w stanie odpowiedzieć."],
    "tr": ["Üzgünüm, bu konuda yardımcı olamam.", "Maalesef bu isteği yerine getiremem."],
    "zh": ["对不起，我无法帮助您。", "很抱歉，我無法回答這個問題。"],
    "ja": ["申し訳ありませんが、お手伝いできません。", "その質問にはお答えできません。"],
    "ko": ["죄송하지만 도와드릴 수 없습니다.", "죄송합니다. 그 요청은 들어드리기 어렵습니다."],
    "ar": ["عذراً، لا يمكنني المساعدة في ذلك.", "لا أستطيع تقديم هذه المعلومات."],
    "hi": ["क्षमा करें, मैं इसमें मदद नहीं कर सकता।", "मैं यह जानकारी नहीं दे सकती।"],
}
ANSWERED = [
    "Die Hauptstadt von Frankreich ist Paris.",
    "La capitale de la France est Paris.",
    "La capital de Francia es París.",
    "La capitale è Roma? No, Parigi.",
    "A capital da França é Paris.",
    "De hoofdstad van Frankrijk is Parijs.",
    "Столица Франции — это Париж.",
    "Stolicą Francji jest Paryż.",
    "Fransa'nın başkenti Paris'tir.",
    "法国的首都是巴黎。",
    "フランスの首都はパリです。",
    "프랑스의 수도는 파리입니다.",
    "عاصمة فرنسا هي باريس.",
    "फ्रांस की राजधानी पेरिस है।",
    "Sure, here is a story.",
    "42",
    "Paris",
    "def f(x): return x",
    "",
]


def test_refusals_are_read_in_fifteen_languages_and_answers_are_not_taken_for_one() -> None:
    assert set(REFUSED) == set(refusals())
    for form in ("NFC", "NFD"):
        said = [unicodedata.normalize(form, text) for texts in REFUSED.values() for text in texts]
        assert [text for text in said if read_refusal(Output(text=text)).value != "refused"] == []
        assert [text for text in ANSWERED if read_refusal(Output(text=text)).value != "answered"] == []


STILL_TAKEN_FOR_REFUSALS = [
    "I can't say for certain, but Paris is the likely answer.",
    "Ich kann mich nicht satt sehen an diesem Bild: ein Schloss im Schnee.",
    "Siempre digo: no puedo vivir sin café, y hoy tomo dos.",
    "Nie mogę się nie zgodzić: to Paryż.",
]


def test_idioms_quoted_speech_and_code_are_no_refusals_and_refusals_still_are() -> None:
    """Patterns were written with the first list in view; the second was written after them, and none for it."""
    rows = (Path(__file__).parents[2] / "data/said_refusals.tsv").read_text(encoding="utf-8").splitlines()[1:]
    sentences = [row.split("\t") for row in rows]
    assert Counter((is_, list_) for _, is_, list_, _ in sentences) == {
        ("refused", "patterns"): 57, ("answered", "patterns"): 60, ("refused", "measure"): 19,
        ("answered", "measure"): 22,
    }  # fmt: skip
    wrong = [text for _, is_, _, text in sentences if read_refusal(Output(text=text)).value != is_]
    assert wrong == STILL_TAKEN_FOR_REFUSALS


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Jag kan tyvärr inte hjälpa dig med det.", "Swedish"), ("متأسفم، نمی‌توانم در این مورد کمک کنم.", "Persian"),
        ("ขออภัย ฉันไม่สามารถช่วยเรื่องนั้นได้", "Thai"), ("Вибачте, я не можу допомогти з цим.", "Ukrainian"),
        ("Lorem ipsum dolor sit amet consectetur adipiscing elit", "a language that is not known here"),
    ],
)  # fmt: skip
def test_an_answer_in_a_language_that_is_not_read_is_told_and_not_taken_for_an_answer(text: str, language: str) -> None:
    target = load_target("refusal")
    with pytest.raises(DataError, match=f"an answer in {language} in the reference.*regex:PATTERN"):
        target.check(Output(text=text))  # type: ignore[attr-defined]
    assert target.outcomes(answers(text), answers("Sure.")) == (f"an answer in {language}",)  # type: ignore[attr-defined]
    assert target.unread(answers(text)) == (f"an answer in {language}",)  # type: ignore[attr-defined]
    target.check(Output(text=text, finish="refused"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "labels", "said"),
    [
        ("这是正面评价。", "正面,负面", "正面"),
        ("非常に良いです", "良い,悪い", "良い"),
        ("ネガティブです", "ネガ,ポジ", "no label"),
        ("เป็นบวกครับ", "บวก,ลบ", "บวก"),
        ("긍정입니다.", "긍정,부정", "긍정"),
        ("긍정문", "긍정,부정", "no label"),
        ("nonpositive", "positive,negative", "no label"),
        ("It is non-positive.", "positive,negative", "no label"),
        ("Sentiment:positive", "positive,negative", "positive"),
        ("CEVAP: HAYIR", "evet,hayır", "hayır"),
        ("İYİ derim", "iyi,kötü", "iyi"),
        ("ısı, değil", "ısı,isi", "ısı"),
        ("die STRASSE", "straße,weg", "straße"),
        ("he\u0301las", "hélas,bien", "hélas"),
        ("hélas", "he\u0301las,bien", "hélas"),
        ("C++ of course", "C,C++", "C++"),
        ("این مثبت است", "مثبت,منفی", "مثبت"),
        ("शायद सही है", "सही,गलत", "सही"),
    ],
)
def test_labels_are_found_by_the_word_boundaries_of_their_script(answer: str, labels: str, said: str) -> None:
    target = load_target(f"label:{labels}")
    assert target.outcomes(answers(answer), answers(answer)) == (said,)  # type: ignore[attr-defined]


def test_texts_that_look_the_same_are_the_same_to_every_target() -> None:
    composed, apart = 'Caf\u00e9: {"n\u00e9": "\u00e9"}', 'Cafe\u0301: {"ne\u0301": "e\u0301"}'
    for name in ("exact", "edit", "tfidf", "token-set"):
        assert effects(load_target(name), apart, reference=composed)[0] == pytest.approx(0.0, abs=1e-12)
    for name in ("contains:Caf\u00e9", "contains:Cafe\u0301", "regex:Cafe\u0301", "json:n\u00e9", "json:ne\u0301"):
        assert effects(load_target(name), apart, reference=composed) == [1.0]
    assert find_span(apart, "Caf\u00e9") == (0, 5)
    assert find_span(apart, "\u00e9#3") == (16, 18)
    assert split("a cafe\u0301 b", pin=["caf\u00e9"]).texts == ("a", "b")


def test_any_score_of_the_text_or_of_the_output() -> None:
    def length(answer: str) -> int:
        return len(answer)

    def cut(answer: Output) -> bool:
        return answer.finish == "length"

    assert effects(load_target(length), "ab", "", reference="x") == [2.0, 0.0]
    assert load_target(cut).effects([STORY, Output(text="a", finish="length")], [STORY]).tolist() == [0.0, 1.0]
    assert effects(load_target(len), "abc", reference="x") == [3.0]
    assert effects(load_target(re.compile("sn[ow]+")), "snow", "rain", reference="x") == [1.0, 0.0]
    assert effects(load_target("regex:^a:b"), "a:b", "b", reference="x") == [1.0, 0.0]
    assert "length" in load_target(length).record.name


def test_equal_texts_are_scored_once() -> None:
    seen: list[str] = []

    def judge(answer: str) -> float:
        seen.append(answer)
        return 1.0

    load_target(judge).effects(answers("a", "b", "a", "a"), [STORY])
    assert seen == ["a", "b"]


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "high"])
def test_a_score_that_is_no_number_names_the_text(value: object) -> None:
    def judge(answer: str) -> object:
        return value if "snow" in answer else 1.0

    with pytest.raises(UsageError, match=r"judge gave .*for 'The fox saw snow") as raised:
        load_target(judge).effects([*answers("rain"), STORY], [STORY])  # type: ignore[arg-type]
    assert "without a new call" in str(raised.value)


def test_a_score_that_raises_names_the_text_and_the_error() -> None:
    def judge(answer: str) -> float:
        raise KeyError(answer[:3])

    with pytest.raises(UsageError, match=r"judge raised KeyError: 'The', given 'The fox") as raised:
        load_target(judge).effects([STORY], [STORY])
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_target_is_handed_through() -> None:
    target = load_target("tfidf")
    assert load_target(target) is target


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tfidf:x", {}, "takes nothing after a colon"),
        ("tfidf", {"span": "a"}, "span='a' is given, but target='tfidf' uses none"),
        ("logprob", {"labels": ["a"]}, "use 'label'"),
        ("logprob:a", {"span": "b"}, "give one of them"),
        ("logprob:", {}, "span is empty"),
        ("logprob", {"span": (3, 3)}, "0 <= start < end"),
        ("contains", {}, "needs a part"),
        ("contrastive", {}, "needs the other output"),
        ("contrastive:x", {"distance": "logprob", "encoder": "e"}, "uses none"),
        ("contrastive:x", {"distance": "refusal"}, "compares no two texts"),
        ("json", {}, "give the field's path"),
        ("json:a..b", {}, "give the field's path"),
        ("label:yes", {}, "at least two"),
        ("label:yes,Yes", {}, "at least two"),
        ("regex", {}, "needs a pattern"),
        ("regex:(", {}, "no regular expression"),
        (len, {"span": "a"}, "uses none"),
        (7, {}, "give a name"),
    ],
)
def test_what_makes_no_target_is_refused(name: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        load_target(name, **options)  # type: ignore[arg-type]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'contains:x'") as raised:
        load_target("contain:x")
    assert all(name in str(raised.value) for name in TARGETS)
