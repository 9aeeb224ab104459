"""vLLM's engine by Ray Data: what it is told and what is made of its rows. A stand-in answers: vLLM needs a GPU."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from whygen.calls import Runner, Store
from whygen.errors import MissingError, UsageError
from whygen.models import Model, ModelOptions, load_model
from whygen.models.ray import engine
from whygen.types import Chat, Edit, Failure, Message, Output, Picture, Request, Settings

OPTIONS = ModelOptions(executor="vllm", address="127.0.0.1:1")


class Rows(list[dict[str, Any]]):
    def take_all(self) -> list[dict[str, Any]]:
        return list(reversed(self))  # replicas answer in any order


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the engine was told; it answers in capital letters, and fails where it reads "broken"."""
    seen: dict[str, Any] = {"rows": [], "gpus": {"num_gpus": 1.0}}

    def config(**given: Any) -> dict[str, Any]:
        seen["config"] = given
        return given

    def build(made: Any, *, preprocess: Callable[..., Any], postprocess: Callable[..., Any]) -> Callable[..., Rows]:
        def answered(row: dict[str, Any]) -> dict[str, Any]:
            ready = preprocess(row)
            seen["rows"].append(ready)
            text = ready["messages"][-1]["content"]
            if "broken" in text:
                return {"number": row["number"], "__inference_error__": "CUDA error"}
            made = {**ready, "generated_text": text.upper(), "num_input_tokens": 3, "num_generated_tokens": 2}
            return postprocess({**made, "prompt": "dropped"})

        return lambda rows: Rows(map(answered, rows))

    llm = types.ModuleType("ray.data.llm")
    vars(llm).update(vLLMEngineProcessorConfig=config, build_processor=build)
    data = types.ModuleType("ray.data")
    vars(data).update(llm=llm, from_items=list)
    ray = types.ModuleType("ray")
    vars(ray).update(data=data)
    for module in (ray, data, llm):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(engine, "connect", lambda address: ray)
    monkeypatch.setattr(engine, "resources_of", lambda *given: (2, seen["gpus"]))
    monkeypatch.setattr("whygen.models.ray.engine.metadata.version", lambda name: "0.11.0")
    return seen


def opened() -> Model:
    return load_model("hf/org/name@abc", OPTIONS)


def test_requests_become_rows_and_rows_answers_in_their_order(told: dict[str, Any]) -> None:
    model = opened()
    settings = Settings(temperature=0.7, max_tokens=9, stop=("END",))
    chat = Chat([Message(role="system", text="be brief"), Message(role="user", text="a chat")])
    requests = [Request(prompt="one", settings=settings), Request(prompt=chat), Request(prompt="broken")]
    with Store(None) as store:
        found = Runner(model, store=store).ask(requests)
    assert [each.text if isinstance(each, Output) else each.message for each in found[:2]] == ["ONE", "A CHAT"]
    assert isinstance(found[2], Failure)
    assert "CUDA error" in found[2].message
    first = next(row for row in told["rows"] if row["number"] == 0)
    assert first["sampling_params"]["temperature"] == 0.7
    assert first["sampling_params"]["stop"] == ["END"]
    assert first["sampling_params"]["seed"] == requests[0].sampling_seed % 2**31
    assert told["config"]["model_source"] == "org/name"
    assert told["config"]["engine_kwargs"]["revision"] == "abc"
    assert told["config"]["concurrency"] == 2


def test_what_it_cannot_do_is_said(told: dict[str, Any]) -> None:
    answer = opened().answer([Request(prompt=Edit(Picture(b"", "image/png"), "make it blue"))])[0]
    assert isinstance(answer, Failure)
    assert "texts and chats" in answer.message
    with pytest.raises(UsageError, match="hf/ORG/NAME"):
        load_model("planted/additive", OPTIONS)
    told["gpus"] = {"num_cpus": 1.0}
    with pytest.raises(MissingError, match="needs a GPU"):
        opened()


def test_without_vllm_it_is_named_and_no_cluster_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "connect", lambda address: pytest.fail("a cluster was joined"))
    with pytest.raises(MissingError, match=r"needs the package 'vllm', which is not installed.*docs\.vllm\.ai"):
        load_model("hf/ORG/NAME", OPTIONS)
