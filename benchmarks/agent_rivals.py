"""The planted agent's calls, explained by larpie and promptdebug at the same 64 answers; once with ``--install``.

Each runs in an environment of its own, by its own code, with messages that hold a text as parts, and is given the most
that it could have: a distance that knows nothing but whether the tool was called, and all answers of the budget.
larpie leaves out random parts (as many as 64 less its baseline of five; its default is 32), and always sends the last
message of the user; named is what its interval keeps above zero. promptdebug leaves out one part after the other, as
often as 64 answers allow (its default is three times); named is what it does not call dead.
The calls and the columns are those of `benchmarks.agent`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.agent import BUDGET, SEED, planted
from benchmarks.partial import Rows, arguments
from benchmarks.planted_calls import Case, PlantedCall
from benchmarks.rivals.rooms import install, python_of
from whygen.models.planted.agent import NOISE, TOOLS, PlantedAgent
from whygen.types import Chat, Message, Request

CALLS = 30
"""Of each cell."""
CASES: tuple[Case, ...] = ("user", "injected", "redundant", "together")

_LARPIE = """
from larpie.algorithms import ablation
from larpie.algorithms.similarity import N_BASELINE_SAMPLES, SimilarityAlgorithm
from larpie.segmenter import Segment

class Engine:
    model = "planted"
    def generate(self, prompt, **more):
        return ask(prompt)
    def embed(self, text):
        return [1.0, 0.0] if text.startswith("send_email(") else [0.0, 1.0]

def explain(task):
    ablation.SAMPLE_BUDGET = task["budget"] - N_BASELINE_SAMPLES - 1
    ablation.EXHAUSTIVE_SEGMENT_LIMIT = 5
    segments = [Segment(id=str(i), text=each["text"], source_type=each["type"], message_indices=[i],
                        is_query=each["query"]) for i, each in enumerate(task["segments"])]
    original = ask("\\n".join(each.text for each in segments))
    found = SimilarityAlgorithm(random_state=task["seed"]).run(Engine(), segments, original)
    return [[int(r.segment_id), r.score, bool(r.score > 0 and r.confidence_interval[0] > 0 and not r.flagged_as_noise)]
            for r in found]
"""

_PROMPTDEBUG = """
import asyncio
from promptdebug import ablation, scoring
from promptdebug.parser import Section

class Provider:
    model = "planted"
    async def complete(self, system_prompt, user_message, temperature=0.0, max_tokens=0):
        return ask(system_prompt)

def differs(before, after):
    return [float(a.startswith("send_email(") != b.startswith("send_email(")) for a, b in zip(before, after)]

def explain(task):
    texts = [each["text"] for each in task["segments"]]
    ablation.parse_prompt = lambda text: [Section(i, each, 0, 0, 1, str(i)) for i, each in enumerate(texts)]
    scoring.semantic_divergence_batch = differs
    runs = max(1, task["budget"] // (len(texts) + 1))
    weights = (1.0, 0.0, 0.0)
    found = asyncio.run(ablation.run_ablation("x", "", Provider(), None, runs, max_concurrent=1, weights=weights))
    return [[each.section.index, each.influence.value, not each.is_dead] for each in found.sections]
"""

_LOOP = """
import json, sys

def ask(prompt):
    print(json.dumps({"ask": prompt}), flush=True)
    return json.loads(sys.stdin.readline())["said"]
"""

_TASKS = """
while line := sys.stdin.readline():
    print(json.dumps({"found": explain(json.loads(line))}), flush=True)
"""

WORKERS = {"larpie": _LOOP + _LARPIE + _TASKS, "promptdebug": _LOOP + _PROMPTDEBUG + _TASKS}

Found = tuple[int, float, bool]
"""A message's number, its score, and whether the library says that it matters."""


class Library:
    """The library at work in its own process, which begins where a row is wanted that is not kept."""

    def __init__(self, name: str) -> None:
        self.name, self.asked = name, 0
        self._process: subprocess.Popen[str] | None = None

    def _send(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                [str(python_of(self.name)), "-c", WORKERS[self.name]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, env=os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def explain(self, call: PlantedCall, agent: PlantedAgent, *, seed: int) -> list[Found]:
        """What it says of each message that may be left out."""
        places = [place for place, message in enumerate(call.chat.messages) if message.text]
        query = max(place for place in places if call.chat.messages[place].role == "user")
        segments = [
            {"text": call.chat.messages[place].text, "type": call.chat.messages[place].role, "query": place == query}
            for place in places
        ]
        drawn, self.asked = Counter[str](), 0
        reply = self._send({"segments": segments, "budget": BUDGET, "seed": seed})
        while "ask" in reply:
            self.asked += 1
            drawn[reply["ask"]] += 1
            chat = Chat([Message("user", reply["ask"])], TOOLS)
            [output] = agent.answer([Request(prompt=chat, draw=drawn[reply["ask"]])])
            reply = self._send({"said": output.calls[0].said if output.calls else output.text})
        return [(places[number], *rest) for number, *rest in reply["found"]]

    def close(self) -> None:
        """Let the process end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def cell(library: Library, case: Case, model: str, *, seed: int = SEED) -> dict[str, object]:
    """All calls of one cell."""
    first: list[bool] = []
    every: list[bool] = []
    accused: list[bool] = []
    asked: list[int] = []
    for number in range(CALLS):
        call = planted(case, number, seed)
        found = library.explain(call, PlantedAgent(model), seed=number)
        asked.append(library.asked)
        named = {place for place, _, matters in found if matters}
        candidates = {place for place, *_ in found}
        drivers = set(call.drivers) & candidates
        best = max(found, key=lambda each: each[1])[0]
        if drivers:
            first.append(best in drivers)
            every.append(named >= set(call.drivers))
        accused.append(bool(named & set(call.results) - set(call.drivers)))
    return {
        "way": library.name, "noise": NOISE[model], "case": case, "calls": CALLS,
        "first": float(np.mean(first)) if first else None, "all": float(np.mean(every)) if every else None,
        "accused": float(np.mean(accused)), "answers": float(np.mean(asked)),
    }  # fmt: skip


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False, seed: int = SEED) -> None:
    del data
    title = "agent_rivals" if seed == SEED else f"agent_rivals_{seed}"
    kept = Rows(title, minutes=minutes, fresh=fresh)
    found: list[dict[str, object] | None] = []
    for name in WORKERS:
        library = Library(name)
        try:
            found += [
                kept.get(f"{name} {model} {case}", lambda c=case, m=model, lib=library: cell(lib, c, m, seed=seed))
                for model in NOISE
                for case in CASES
            ]
        finally:
            library.close()
    rows = [row for row in found if row is not None]
    print(record.table(rows))
    record.write(title, {"rows": rows}, seed=seed)


if __name__ == "__main__":
    if "--install" in sys.argv:
        for each in WORKERS:
            install(each)
    else:
        parser = arguments(__doc__)
        parser.add_argument("--seed", type=int, default=SEED, help="of the calls, as for `benchmarks.agent`")
        main(**vars(parser.parse_args()))
