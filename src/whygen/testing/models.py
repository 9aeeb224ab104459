# pyright: reportUnnecessaryIsInstance=false
# What a plug-in gives may be of any kind, whatever it promises.
"""Whether a model answers prompts, or encodes and decodes samples, as whygen asks it to."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whygen.models import (
    AnswersAlike,
    Decodes,
    Encodes,
    HasContext,
    HasIdentity,
    Model,
    Samples,
    ScoresText,
    Tokenizes,
    load_model,
    output_kind,
)  # fmt: skip
from whygen.testing.clauses import does, near, numbers, require
from whygen.types import Failure, Output, Prompt, Request, Settings

PROMPTS: Final = (
    "Paris is", "the river Seine, where boats", "a", "", "Naïve café 東京!", "it lies on the capital of France and",
)  # fmt: skip
SHORT: Final = Settings(max_tokens=8)
BAD: Final = "broken \ud800 text"
"""Half a surrogate pair: no text that a tokenizer, a template or a recording knows."""

_ONE_EACH = "answer(requests) gives one Output or Failure for each request, in their order, and never raises for one."


def check_model(
    model: object, *, prompts: Sequence[Prompt] = PROMPTS, settings: Settings = SHORT,
    same: Callable[[Output, Output], bool] | None = None,
) -> None:  # fmt: skip
    """That a model is one that answers prompts, in whatever batches they come.

    Args:
        model: what `load_model` takes.
        prompts: at least two that it answers.
        settings: such that equal requests get equal answers, as at temperature 0.
        same: whether two answers to one request count as equal; same texts and media unless given.

    Raises:
        AssertionError: with what is wrong, and what is asked.
    """
    box = load_model(model)
    requests = [Request(prompt=prompt, settings=settings) for prompt in prompts]
    alike = same or _equal
    _check_face(box)
    together = _outputs(box, requests)
    kind = output_kind(box)
    for request, output in zip(requests, together, strict=True):
        right = output.medium is None if kind == "text" else getattr(output, kind) is not None
        require(right, f"The answer to {request.prompt!r} is no {kind}", "output_kind says what answers are.")
    alone = [_outputs(box, [request])[0] for request in requests]
    backwards = _outputs(box, requests[::-1])[::-1]
    for i, request in enumerate(requests):
        what = f"The answer to {request.prompt!r}"
        require(alike(together[i], alone[i]), f"{what} depends on what is asked beside it", _ONE_EACH)
        require(alike(together[i], backwards[i]), f"{what} depends on the order of the requests", _ONE_EACH)
    again = zip(together, _outputs(box, requests), strict=True)
    require(all(alike(*pair) for pair in again), "The same requests got other answers", "Give settings at which "
             "they are the same, such as temperature 0; a model that always draws cannot be told apart from a wrong "
             "order.")  # fmt: skip
    _outputs(box, list(itertools.islice(itertools.cycle(requests), min(box.limits.max_batch, 20 * len(requests)) + 3)))
    _check_failures(box, requests, together, alike)
    if isinstance(box, ScoresText) and kind == "text":
        _check_scores(box, [p for p in prompts if isinstance(p, str)], settings)
    _check_capabilities(box, [p for p in prompts if isinstance(p, str)], settings)


def _equal(one: Output, other: Output) -> bool:
    return (one.text, one.medium) == (other.text, other.medium)


def _check_face(box: Model) -> None:
    require("/" in box.uri.strip("/"), f"uri is {box.uri!r}", "It is PROVIDER/NAME, by which the model is opened.")
    limits = box.limits
    right = limits.max_batch >= 1 and limits.max_in_flight >= 1
    require(right, f"limits are {limits}", "Both are 1 or more: requests in one call, and calls in flight.")
    nothing = does("answer([])", _ONE_EACH, box.answer, [])
    require(len(nothing) == 0, f"answer([]) gives {len(nothing)} answers", _ONE_EACH)
    if isinstance(box, HasIdentity):
        asked = "It is None, or a mapping that JSON holds of what can change answers, and the same each time."
        told = does("identity", asked, lambda: json.dumps(box.identity, sort_keys=True, allow_nan=False))
        again = json.dumps(box.identity, sort_keys=True)
        require(told == again and told[0] in "n{", f"identity is {told[:200]}, then {again[:200]}", asked)


def _outputs(box: Model, requests: Sequence[Request]) -> list[Output]:
    answers = _answers(box, requests)
    for request, answer in zip(requests, answers, strict=True):
        said = answer.sentence if isinstance(answer, Failure) else ""
        require(isinstance(answer, Output), f"The prompt {request.prompt!r} failed: {said}", "Give prompts that the "
                 "model answers.")  # fmt: skip
    return [answer for answer in answers if isinstance(answer, Output)]


def _answers(box: Model, requests: Sequence[Request]) -> list[Output | Failure]:
    answers = list(does(f"answer of {len(requests)} requests", _ONE_EACH, box.answer, requests))
    require(len(answers) == len(requests), f"{len(requests)} requests got {len(answers)} answers", _ONE_EACH)
    strange = next((answer for answer in answers if not isinstance(answer, Output | Failure)), None)
    require(strange is None, f"An answer is a {type(strange).__name__}", _ONE_EACH)
    return answers


def _check_failures(
    box: Model, requests: Sequence[Request], good: Sequence[Output], alike: Callable[[Output, Output], bool]
) -> None:
    bad = Request(prompt=BAD, settings=requests[0].settings)
    first, answer, last = _answers(box, [requests[0], bad, requests[1]])
    for name, neighbour, right in (("before", first, good[0]), ("after", last, good[1])):
        stands = isinstance(neighbour, Output) and alike(neighbour, right)
        require(stands, f"A request {name} one that cannot be answered got another answer", _ONE_EACH)
    if isinstance(answer, Failure):
        require(answer.message and answer.advice, f"A failure says {answer.sentence!r}", "It has a message, what went "
                 "wrong, and advice, what to do.")  # fmt: skip
        kind = f"The failure of a text with half a surrogate pair is {answer.kind!r}"
        require(answer.kind in {"permanent", "refused"}, kind, "That is permanent: asking again would not help.")


def _check_scores(box: ScoresText, prompts: Sequence[str], settings: Settings) -> None:
    text, asked = " so it is in Naïve 東京.", "score gives the log-probability of each token of the continuation."
    requests = [Request(prompt=prompt, settings=settings, continuation=text) for prompt in prompts]
    together = list(does("score", asked, box.score, requests))
    if all(isinstance(answer, Failure) for answer in together):
        return  # a server that gives none
    for request, answer in zip(requests, together, strict=True):
        (alone,) = box.score([request])
        told = answer.scores if isinstance(answer, Output) else None
        other = alone.scores if isinstance(alone, Output) else None
        if told is None or other is None:
            raise AssertionError(f"The continuation of {request.prompt!r} has no scores. {asked}")
        covered = "".join(text[score.start : score.end] for score in told)
        require(covered == text, f"The scored tokens are {covered!r} of {text!r}", "They cover it without gaps.")
        most = max(score.logprob for score in told)
        require(most <= 0, f"A log-probability is {most:g}", "It is at most 0, in nats.")
        values, others = (np.array([score.logprob for score in each]) for each in (told, other))
        require(near(values, others, 2e-4), "Scores depend on what is scored beside them", asked)


def _check_capabilities(box: Model, prompts: Sequence[str], settings: Settings) -> None:
    if isinstance(box, AnswersAlike):
        told = box.answers_alike(settings)
        require(isinstance(told, bool), f"answers_alike gives {told!r}", "It is True or False.")
    for prompt in prompts:
        if isinstance(box, Tokenizes):
            spans = box.token_spans(prompt)
            covered = "".join(prompt[start:end] for start, end in spans)
            require(covered == prompt, f"token_spans of {prompt!r} are {spans}", "They cover the text without gaps.")
        if isinstance(box, HasContext):
            count = box.count_tokens(Request(prompt=prompt, settings=settings))
            right = isinstance(count, int) and count >= 0
            require(right, f"count_tokens of {prompt!r} is {count!r}", "It is a whole number, 0 or more.")


def check_latent(model: object, samples: NDArray[np.float32], *, seed: int = 0) -> None:
    """That a latent generator encodes, decodes and draws, in whatever batches samples come.

    Args:
        model: an object with ``encode``, ``decode`` and ``sample``, as `load_latent` gives it.
        samples: at least two, as the model takes them, shape ``(n, *shape)``.
        seed: of what is drawn.

    Raises:
        AssertionError: with what is wrong, and what is asked.
    """
    n = len(samples)
    asked = "encode(samples) gives the mean and the log-variance of each posterior, both (n, d) of float32."
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise AssertionError(f"A {type(model).__name__} has no encode and decode. {asked}")  # noqa: TRY004
    mean, logvar = does("encode", asked, model.encode, samples)
    numbers("The mean", mean, (n, -1), asked)
    numbers("The log-variance", logvar, mean.shape, asked)
    require(mean.dtype == logvar.dtype == np.float32, f"encode gives {mean.dtype} and {logvar.dtype}", asked)
    asked_back = "decode(latents) gives samples of the shape they came in, float32."
    made = does("decode", asked_back, model.decode, mean)
    numbers("What decode gives", made, samples.shape, asked_back)
    require(made.dtype == np.float32, f"decode gives {made.dtype}", asked_back)
    rows = range(n)
    apart = [model.encode(samples[i : i + 1]) for i in rows]
    stays = near(np.concatenate([one for one, _ in apart]), mean, 1e-5)
    stays &= near(np.concatenate([one for _, one in apart]), logvar, 1e-5)
    require(stays, "A posterior depends on the samples beside it", asked)
    back = np.concatenate([model.decode(mean[i : i + 1]) for i in rows])
    require(near(back, made, 1e-5), "A decoded sample depends on the latents beside it", asked_back)
    if isinstance(model, Samples):
        asked_drawn = "sample(n, rng) draws from the generator alone."
        drawn, again, other = (model.sample(3, np.random.default_rng(each)) for each in (seed, seed, seed + 1))
        numbers("What sample draws", drawn, (3, *samples.shape[1:]), asked_drawn)
        require(np.array_equal(drawn, again), "Equal generators drew different samples", asked_drawn)
        require(not np.array_equal(drawn, other), "Different generators drew equal samples", asked_drawn)
