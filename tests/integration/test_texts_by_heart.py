"""A real network that was made to know canaries by heart, servers that echo, contexts that end, runs that are ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from training.storyteller.planted import families, fine_tune, training_texts
from typer.testing import CliRunner

import tiny_models
import whygen
from faults.answers import word_logprob
from faults.server import FaultServer
from whygen.calls import Interrupted, RunOptions
from whygen.cli.app import app
from whygen.errors import UsageError
from whygen.models import ModelOptions, load_model
from whygen.results import TextAnchorExplanation
from whygen.types import Failure, Limits, Output, Request, TokenScore


@pytest.fixture(scope="module")
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def canaries(part: str, n: int = 8) -> list[str]:
    return [family.text for family in families("canaries", n, 0, part=part)]


@pytest.mark.usefixtures("threads")
def test_canaries_seen_twenty_times_are_known_by_heart_and_by_the_fine_tuned_model_alone() -> None:
    seen, new, held = canaries("planted"), canaries("new"), canaries("held", 60)
    order = training_texts(seen, canaries("once"), exposures=20, rng=np.random.default_rng(0))
    model = fine_tune(order, seed=0, rate=4e-3, batch=4)
    found = whygen.explain_anchors(model, seen + new, reference=held, cache=None)
    assert isinstance(found, TextAnchorExplanation)
    told = {text.index for text in found.members("knows by heart")}
    assert len(told & set(range(8))) >= 6
    assert len(told - set(range(8))) <= 1
    [contrast] = found.contrasts
    assert contrast.low <= 0.5 <= contrast.high
    before = whygen.explain_anchors("demo/storyteller", seen + new, reference=held, cache=None)
    assert not before.members("knows by heart")
    assert before.contrasts[0].low == 0.0


def test_a_text_beyond_the_context_is_cut_and_the_others_are_as_they_were(tmp_path: Path) -> None:
    uri = f"hf/{tiny_models.save('gpt2', tmp_path / 'tiny')}"
    texts = ["Paris 11 is the capital", "boats pass 12 all day", "Naïve café 東京 3 " * 40]
    whole = whygen.explain_anchors(uri, texts, cache=None, twins=3)
    assert whole.texts[2].state == "scored"
    assert whole.texts[2].tokens is not None
    assert whole.texts[2].tokens <= 63
    assert "longer than the model's context" in whole.texts[2].notes[0]
    assert any(each.code == "anchors-cut" for each in whole.warnings)
    alone = whygen.explain_anchors(uri, texts[:2], cache=None, twins=3)
    for one, other in zip(alone.texts, whole.texts, strict=False):
        assert one.nats == pytest.approx(other.nats, rel=1e-5)
        assert one.nearest_twin == other.nearest_twin


def test_a_tokenizer_that_does_not_know_a_script_is_told(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    place = tiny_models.save("gpt2", tmp_path / "words")
    words = {"<unk>": 0, "<|end|>": 1, **{word: 2 + i for i, word in enumerate(tiny_models.WORDS)}, "7": 30, "8": 31}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", bos_token="<|end|>", eos_token="<|end|>"
    ).save_pretrained(place)  # fmt: skip
    found = whygen.explain_anchors(
        f"hf/{place}",
        ["tell a story of 7 dog", "это другая письменность", "the castle and 8 zebra"],
        cache=None,
        twins=1,
    )
    assert [text.state for text in found.texts] == ["scored", "unreadable", "scored"]
    assert "3 of its 3 tokens are unknown" in found.texts[1].reason
    assert "1 of its 5 tokens are unknown" in found.texts[2].notes[0]


HELD = """
import transformers
from whygen.types import Output, TokenScore
model = transformers.AutoModelForCausalLM.from_pretrained({place!r})
tokenizer = transformers.AutoTokenizer.from_pretrained({place!r})
pair, turned, listed = (model, tokenizer), (tokenizer, model), [model, tokenizer]
pipeline = transformers.pipeline("text-generation", model=model, tokenizer=tokenizer)
class Scorer:
    def score(self, requests):
        spans = [[TokenScore(i, i + 1, -1.0) for i, _ in enumerate(each.continuation)] for each in requests]
        return [Output(finish="scored", scores=tuple(each)) for each in spans]
scorer = Scorer()
bare, without = model, (model, None)
further = transformers.AutoTokenizer.from_pretrained({place!r})
further.add_tokens(["boats", "market"])
foreign = (model, further)
"""


def test_a_model_of_texts_is_the_same_by_its_name_in_a_module_and_as_the_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "held_models.py").write_text(HELD.format(place=str(tiny_models.save("gpt2", tmp_path / "tiny"))))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import held_models  # pyright: ignore[reportMissingImports]

    texts = ["Paris 11 is the capital", "boats pass 12 all day", "the market opened at 7"]
    for name in ("pair", "turned", "listed", "pipeline", "scorer"):
        by_name, as_object = (
            whygen.explain_anchors(each, texts, cache=None, twins=1)
            for each in (f"py/held_models:{name}", getattr(held_models, name))
        )
        assert [each.nats for each in by_name.texts] == [each.nats for each in as_object.texts], name
        assert by_name.texts[0].nats
    for name, told in (("bare", "without its tokenizer"), ("without", "a NoneType, which is no tokenizer")):
        for each in (f"py/held_models:{name}", getattr(held_models, name)):
            with pytest.raises(UsageError, match=told):
                whygen.explain_anchors(each, texts, cache=None)
    found = whygen.explain_anchors(held_models.foreign, texts, cache=None, twins=1)  # its texts alone are not scored
    assert [each.state for each in found.texts] == ["scored", "failed", "failed"]
    assert "it is the tokenizer of another model" in found.texts[1].reason
    with pytest.raises(UsageError, match="it is the tokenizer of another model"):
        whygen.explain_anchors(held_models.foreign, texts[1:], cache=None, twins=1)


class Slow:
    """Ends the run after so many texts, as Ctrl-C does."""

    uri, identity, limits = "own/slow", {"uri": "own/slow"}, Limits(max_batch=1)

    def __init__(self, stop_after: int) -> None:
        self.left = stop_after
        self.scored = 0

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [Output(text="no") for _ in requests]

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.scored += len(requests)
        text = requests[0].continuation or ""
        return [Output(finish="scored", scores=(TokenScore(0, 3, -1.0), TokenScore(3, len(text), -2.0)))]


def test_an_interrupted_run_keeps_what_it_had_and_goes_on(tmp_path: Path) -> None:
    texts = [f"number {i} here" for i in range(100, 106)]
    with pytest.raises(Interrupted) as stopped:
        whygen.explain_anchors(Slow(7), texts, twins=2, cache=tmp_path / "store")
    partial = stopped.value.explanation
    assert partial.ended == "interrupt"
    assert [text.state for text in partial.texts] == ["scored"] * 3 + ["not reached"] * 3
    again = Slow(-1)
    whole = whygen.explain_anchors(again, texts, twins=2, cache=tmp_path / "store")
    assert again.scored == 18 - 7
    assert whole.counted == 6
    late = whygen.explain_anchors(Slow(-1), texts, twins=2, cache=None, run=RunOptions(deadline=1e-9))
    assert late.ended == "deadline"
    assert late.counted == 0


def test_from_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("The code is 123456 now.\n\nIt was 1984 or so.\n", encoding="utf-8")
    run = CliRunner()
    line = ["anchors", "demo/storyteller", "--anchors", "texts.txt", "--twins", "2", "--cache", "store", "-q"]
    dry = run.invoke(app, [*line, "--dry-run", "--json"])
    assert json.loads(dry.stdout) == {"texts": 2, "scored": 6, "continued": 0, "recorded": 0}
    found = run.invoke(app, [*line, "--json", "-o", "out"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["counted"] == 2
    assert (tmp_path / "out/report.html").is_file()
    assert (tmp_path / "out/texts.csv").is_file()
    assert json.loads(run.invoke(app, [*line, "--dry-run", "--json"]).stdout)["recorded"] == 6
    assert run.invoke(app, ["report", "out", "-q"]).exit_code == 0


def test_a_copy_scores_as_its_model_does_and_the_baseline_takes_it_off(tmp_path: Path) -> None:
    model = load_model("demo/storyteller", ModelOptions(device="cpu"))
    texts = [f"The code is {n} now." for n in (123456, 777123, 902211)]
    found = whygen.explain_anchors(model, texts, baseline="demo/storyteller", cache=None, twins=4)
    assert found.contrasts[0].kind == "twins and baseline"
    assert all(text.contrast == pytest.approx(0, abs=1e-9) for text in found.texts)
    assert all(text.minus_baseline == pytest.approx(0, abs=1e-9) for text in found.texts)
    assert not found.members("knows by heart")


def test_a_server_that_echoes_scores_all_but_the_first_word() -> None:
    texts = ["The code is 4711 now", "A number such as 1984 here", "word"]
    with FaultServer() as server:
        options = ModelOptions(base_url=server.url, endpoint="completions")
        found = whygen.explain_anchors("openai/test", texts, options=options, cache=None, twins=2)
        assert [text.state for text in found.texts] == ["scored", "scored", "too short"]
        wanted = -sum(word_logprob(word) for word in (" code", " is", " 4711", " now"))
        assert found.texts[0].nats == pytest.approx(wanted)
        assert found.texts[0].written is not None
        asked = len(server.received)
        assert asked == 2 * 3 + 2
        with pytest.raises(UsageError, match=r"no log-probabilities.*completions"):
            whygen.explain_anchors("openai/test", texts, options=ModelOptions(base_url=server.url), cache=None)
        assert len(server.received) == asked
