"""The user's own code: what it is given, what it may return, how its mistakes are told."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import whygen
from whygen.errors import UsageError
from whygen.models import batched, load_model, python
from whygen.types import Chat, Failure, Message, Output, Picture, Request, Settings


def says(model: object, *prompts: str | Chat) -> list[str]:
    """Texts of the answers; of a failure, its message."""
    answers = load_model(model).answer([Request(prompt=prompt) for prompt in prompts])
    return [answer.text if isinstance(answer, Output) else answer.message for answer in answers]


def shout(prompt: str) -> str:
    return prompt.upper()


def shout_request(request: Request) -> str:
    return f"{request.prompt} {request.settings.temperature} {request.sampling_seed}"


@batched
def shout_requests(requests: Sequence[Request]) -> list[str]:
    return [str(request.draw) for request in requests]


class Shouter:
    def __call__(self, prompt: str) -> str:
        return prompt.upper()

    def together(self, prompts: list[str]) -> list[str]:
        return [prompt.upper() for prompt in prompts]


@pytest.mark.parametrize(
    "model", [shout, lambda p: p.upper(), Shouter(), partial(shout), batched(Shouter().together), str.upper]
)
def test_any_callable_will_do(model: object) -> None:
    assert says(model, "a", "b") == ["A", "B"]


def test_an_annotation_asks_for_the_whole_request() -> None:
    asked = Request(prompt="x", settings=Settings(temperature=0.5), draw=3)
    (answer,) = load_model(shout_request).answer([asked])
    assert answer == Output(text=f"x 0.5 {asked.sampling_seed}", seconds=answer.seconds)
    assert says(shout_requests, "x", "y") == ["0", "0"]


def test_a_chat_arrives_as_roles_and_contents() -> None:
    talk = Chat((Message("system", "be brief"), Message("user", "hello")))
    assert says(lambda turns: " ".join(f"{t['role']}={t['content']}" for t in turns), talk) == [
        "system=be brief user=hello"
    ]


@pytest.mark.parametrize("batch", [False, True])
def test_a_callable_that_takes_a_text_refuses_a_chat_and_answers_the_rest(batch: bool) -> None:
    def one(prompt: str) -> str:
        return prompt.upper()

    @batched
    def many(prompts: list[str]) -> list[str]:
        return [prompt.upper() for prompt in prompts]

    requests = [Request(prompt=prompt) for prompt in ("a", Chat((Message("user", "hello"),)), "b")]
    first, refused, last = load_model(many if batch else one).answer(requests)
    assert isinstance(refused, Failure)
    assert "takes a text" in refused.message
    assert [answer.text for answer in (first, last) if isinstance(answer, Output)] == ["A", "B"]


def test_annotations_that_allow_more_than_a_text_are_given_chats() -> None:
    def either(prompt: str | list[dict[str, str]]) -> str:
        return type(prompt).__name__

    def turns(prompt: list[dict[str, str]]) -> str:
        return prompt[0]["content"]

    talk = Chat((Message("user", "hello"),))
    assert says(either, talk) == ["list"]
    assert says(turns, talk) == ["hello"]


def test_images_are_never_dropped_on_the_way() -> None:
    talk = Chat((Message("user", "hello", (Picture(b"x"),)),))
    (refused,) = load_model(lambda turns: "seen").answer([Request(prompt=talk)])
    assert isinstance(refused, Failure)
    assert "holds images" in refused.message
    (answer,) = load_model(shout_request).answer([Request(prompt=talk)])
    assert isinstance(answer, Output)


async def later(prompt: str) -> str:
    await asyncio.sleep(0)
    return prompt


async def failing_later(prompt: str) -> str:
    raise LookupError("no such thing")


async def leaving_later(prompt: str) -> str:
    raise SystemExit(3)


async def streamed_later(prompt: str) -> AsyncIterator[str]:
    for word in prompt.split(" "):
        await asyncio.sleep(0)
        yield word + "."


async def yielding(prompt: str) -> Iterator[str]:
    return (letter for letter in prompt)


def pieces(prompt: str) -> Iterator[str]:
    yield from prompt


@batched
async def all_later(prompts: list[str]) -> list[str]:
    return list(await asyncio.gather(*(later(prompt) for prompt in prompts)))


class Agent:
    """Has a lock of the loop of its first call, as asynchronous clients of servers have."""

    def __init__(self) -> None:
        self.loops: set[int] = set()

    async def __call__(self, prompt: str) -> str:
        self.loops.add(id(asyncio.get_running_loop()))
        return prompt


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (later, "a fox"),
        (all_later, "a fox"),
        (partial(later), "a fox"),
        (streamed_later, "a.fox."),
        (yielding, "a fox"),
        (lambda prompt: (part for part in prompt), "a fox"),
        (lambda prompt: (part for part in ()), ""),
        (pieces, "a fox"),
    ],
)
def test_async_functions_and_texts_in_pieces_are_answers(function: object, told: str) -> None:
    assert says(function, "a fox", "a fox") == [told, told]


def test_all_calls_of_an_async_model_have_one_loop_beside_a_running_one() -> None:
    agent = Agent()

    async def notebook() -> str:
        explanation = whygen.explain_prompt(agent, "a fox ran home", target="tfidf", cache=None)
        return explanation.reference.text

    assert asyncio.run(notebook()) == "a fox ran home"
    assert len(agent.loops) == 1


def test_a_text_without_an_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "_LONGEST", 1000)

    async def endless(prompt: str) -> AsyncIterator[str]:
        while True:
            yield prompt

    for function in (lambda prompt: (prompt for _ in itertools.count()), endless):
        (answer,) = load_model(function).answer([Request(prompt="x" * 99)])
        assert isinstance(answer, Failure)
        assert "more than 1,000 characters" in answer.message


def test_the_thread_of_an_async_model_ends_with_it() -> None:
    before = set(threading.enumerate())
    model = load_model(later)
    assert isinstance(model.answer([Request(prompt="x")])[0], Output)
    (thread,) = set(threading.enumerate()) - before
    del model
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def broken(prompt: str) -> str:
    raise LookupError("no such thing")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda prompt: 3, "returned a value of type int, not a str"),
        (lambda prompt: (len(part) for part in prompt), "returned a value of type generator"),
        (lambda prompt: (part for part in ("a", 3)), "it yields a value of type int, not a str"),
        (lambda prompt: None, "returned a value of type NoneType, not a str"),
        (failing_later, "raised LookupError: no such thing"),
        (leaving_later, "raised SystemExit"),
        (broken, "raised LookupError: no such thing"),
        (batched(lambda prompts: "abc"), "returned one str for a batch"),
        (batched(lambda prompts: prompts[1:]), "returned 0 texts for a batch of 1"),
        (batched(lambda prompts: None), "raised TypeError"),
    ],
)
def test_what_a_callable_does_wrong_is_told(function: object, message: str) -> None:
    (answer,) = load_model(function).answer([Request(prompt="x")])
    assert isinstance(answer, Failure)
    assert answer.kind == "permanent"
    assert message in answer.message
    assert answer.advice


@pytest.mark.parametrize(
    ("returned", "advice"),
    [
        ({"choices": [{"message": {"content": "a"}}]}, "f(prompt)['choices'][0]['message']['content']."),
        (SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content="a"))]), "(prompt).choices[0].mes"),
        ({"message": {"role": "assistant", "content": "a"}, "done": True}, "f(prompt)['message']['content']."),
        ([{"generated_text": "a"}], "f(prompt)[0]['generated_text']."),
        ({"label": "POSITIVE", "score": 0.9}, "f(prompt)['label']."),
        (("a", 0.9), "f(prompt)[0]."),
        (b"a fox", "Return f(prompt).decode()."),
        (np.float32(0.5), "return str(f(prompt)), and give target=float."),
    ],
)  # fmt: skip
def test_where_the_text_of_an_answer_is_kept_is_told_with_the_line_to_write(returned: object, advice: str) -> None:
    (answer,) = load_model(lambda prompt: returned).answer([Request(prompt="x")])
    assert isinstance(answer, Failure)
    assert advice in answer.advice


def test_one_bad_prompt_of_a_batch_fails_alone() -> None:
    sizes: list[int] = []

    @batched
    def strict(prompts: list[str]) -> list[str]:
        sizes.append(len(prompts))
        if "bad" in prompts:
            raise ValueError("cannot do that")
        return prompts

    told = says(strict, *"abcdefg", "bad")
    assert told[:7] == list("abcdefg")
    assert "cannot do that" in told[7]
    assert sizes == [8, 4, 4, 2, 2, 1, 1]


def test_an_interrupt_is_not_swallowed() -> None:
    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        says(interrupted, "x")


def test_a_module_that_cannot_be_imported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad_module_of_a_user.py").write_text("1 / 0\n")
    with pytest.raises(UsageError, match=r"raised ZeroDivisionError while it was imported"):
        load_model("py/bad_module_of_a_user:f")


def test_a_model_class_behind_py_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_class_of_a_user.py").write_text(
        "from whygen.types import Limits, Output\n"
        "class Mine:\n"
        "    uri, limits = 'mine/own', Limits()\n"
        "    def answer(self, requests):\n"
        "        return [Output(text='mine') for _ in requests]\n"
    )
    assert says("py/model_class_of_a_user:Mine", "x") == ["mine"]
