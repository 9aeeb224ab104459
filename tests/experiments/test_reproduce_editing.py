"""The thesis's experiments with editors, on one whose single cause is known, and on a pipeline of random weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import tiny_models
import whygen
from whygen.cli import main
from whygen.encoders import load_image_encoder
from whygen.media import pictures
from whygen.prompt.units import split
from whygen.report.html import page as drawn_page
from whygen.types import Edit, Failure, JsonValue, Limits, Output, Picture, Request
from whygen_experiments.gsmile_editing import study, tables
from whygen_experiments.gsmile_editing.output_map import map_outputs, silhouettes
from whygen_experiments.gsmile_editing.questions import (
    CONDITIONS,
    LABELLED,
    Question,
    Questions,
    for_any,
    for_painter,
    published_labels,
)  # fmt: skip
from whygen_experiments.gsmile_editing.study import Bench, chance_of, important, reproduce, surrogates


def scene() -> Picture:
    values = np.full((16, 16, 3), 200, dtype=np.uint8)
    values[8:, :8] = (40, 160, 40)
    return pictures.picture_of(values)


class Dusk:
    """Darkens the upper half at the word ``night``, by more for another noise; nothing else counts."""

    uri = "test/dusk"
    limits = Limits(max_batch=8)
    output_kind: Literal["picture"] = "picture"

    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        return {"uri": self.uri}

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self.draw(request) for request in requests]

    def draw(self, request: Request) -> Output:
        prompt, extra = request.prompt, request.settings.extra
        assert isinstance(prompt, Edit)
        values = pictures.pixels(prompt.image)
        if "night" in prompt.instruction.split() and not self.deaf:
            values[:8] //= 2 + int(str(extra.get("seed", 0)))
        return Output(picture=pictures.picture_of(values))


def questions() -> Questions:
    def asked(name: str, text: str, labels: tuple[bool, ...] | None = None) -> Question:
        return Question(name, Edit(scene(), text), labels)

    return Questions(
        stability=(asked("dark", "please make it night for me"), asked("late", "now let it be night")),
        labelled=(asked("1", "turn this into night now", (False, False, False, True, False)),),
        mapped="dark",
        seeded="late",
        high={"guidance_scale": 2.0},
        said="Two conditions | and one label.",
    )


def bench(model: Dusk, store: Path | None = None) -> Bench:
    return Bench(model=model, encoder=load_image_encoder("patches"), store=store)


@pytest.fixture(autouse=True)
def _few_noises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SEEDS", 2)


@pytest.fixture(scope="module")
def results() -> study.Results:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "SEEDS", 2)
        return reproduce(bench(Dusk()), questions())


def test_one_cause_is_stable_and_found_by_the_default(results: study.Results) -> None:
    ours = [row for row in results.stable if row.method == "default"]
    assert [row.top1 for row in ours] == [1.0, 1.0]
    assert all(row.generalised > 0.85 > row.chance_generalised for row in ours)
    assert all(0 < row.chance_top1 < row.chance_top2 < 1 for row in results.stable)
    found = next(row for row in results.accurate if row.method == "default")
    assert (found.auroc, found.accuracy, found.f1) == (1.0, 1.0, 1.0)
    assert (found.accuracy_significant, found.f1_significant) == (1.0, 1.0)


def test_the_published_procedure_stands_beside_it(results: study.Results) -> None:
    assert [row.method for row in results.stable] == ["default", "gsmile-images"] * 2
    assert [row.method for row in results.accurate] == ["default", "gsmile-images"]
    theirs = whygen.explain_prompt(
        Dusk(), questions().labelled[0].edit, preset="gsmile-images", encoder="patches", cache=None
    )
    mine = bench(Dusk()).explain(questions().labelled[0].edit, "gsmile-images")
    assert mine.units == theirs.units
    assert mine.calls.asked <= study.EDITS == 33
    assert bench(Dusk()).explain(questions().labelled[0].edit, "default").calls.asked <= study.EDITS


def test_the_map_separates_the_word_that_counts_and_no_other(results: study.Results) -> None:
    assert results.drawn is not None
    by_word = {each.unit: each for each in results.drawn.separations}
    assert by_word["night"].silhouette == pytest.approx(1.0)
    assert by_word["night"].p_value is not None
    assert by_word["night"].p_value <= 0.01
    idle = [each for word, each in by_word.items() if word != "night"]
    assert all(each.silhouette is not None and each.silhouette < 0.2 for each in idle)
    assert sum(each.p_value is not None and each.p_value < 0.01 for each in idle) == 0


def test_noises_are_compared_with_a_baseline_that_comes_out_the_same(results: study.Results) -> None:
    assert results.again == pytest.approx(1.0)
    assert [(row.guidance, row.noise) for row in results.seeded] == [("own", 1), ("own", 2), ("high", 1), ("high", 2)]
    values = [row.generalised for row in results.seeded]
    assert values == pytest.approx([values[0], values[1]] * 2)  # guidance means nothing to it, the noise does
    assert values[1] < values[0] < 1


def test_surrogates_share_masks_and_a_linear_model_needs_only_a_line(results: study.Results) -> None:
    assert {row.surrogate for row in results.predicted} == {"ridge", "pairs", "boosting", "kernel-ridge"}
    assert all(row.r2 is not None and row.r2 > 0.9 for row in results.predicted if row.surrogate != "kernel-ridge")


def test_an_editor_that_ignores_the_text_has_no_map_and_no_r2() -> None:
    found = reproduce(bench(Dusk(deaf=True)), questions())
    assert found.drawn is None
    assert all(row.r2 is None for row in found.predicted)
    page = tables.markdown(found)
    assert "there is no map" in page
    assert "no change in the outputs" in page


def test_files_say_the_same_and_are_written_as_text(results: study.Results, tmp_path: Path) -> None:
    files = tables.write(results, tmp_path)
    told = json.loads(files["json"].read_text(encoding="utf-8"))
    assert told["map"]["separations"][3]["unit"] == "night"
    assert len(told["stability"]) == 4
    page = files["md"].read_text(encoding="utf-8")
    for section in tables.sections(results):
        assert f"## {section.title}" in page
    html = files["html"].read_text(encoding="utf-8")
    assert "<script>" not in html
    assert html.count('<svg class="plot"') == len(tables.page(results)["maps"]) >= 2
    assert "data:image/png" in html


def test_markup_in_an_instruction_is_shown_as_text(results: study.Results) -> None:
    shown = tables.page(results)
    shown["references"][0]["instruction"] = "<script>alert(1)</script>"
    assert "<script>alert" not in drawn_page("experiment.html.j2", shown, package="whygen_experiments")


def test_what_was_drawn_is_kept(tmp_path: Path) -> None:
    drawn: list[int] = []

    class Counting(Dusk):
        def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
            drawn.append(len(requests))
            return super().answer(requests)

    kept = bench(Counting(), tmp_path / "calls.sqlite")
    one = kept.explain(questions().stability[0].edit, "default")
    assert sum(drawn) == one.calls.made > 0
    drawn.clear()
    assert kept.explain(questions().stability[0].edit, "default").units == one.units
    assert drawn == []


@pytest.mark.parametrize(
    ("values", "called"),
    [([1.0, 0.5, 0.4, -2.0], [True, True, False, False]), ([0.0, -1.0], [False, False]), ([3.0], [True])],
)
def test_important_is_half_of_the_largest(values: list[float], called: list[bool]) -> None:
    assert important(np.array(values)).tolist() == called


def test_chance_lies_between_nothing_and_all() -> None:
    found = chance_of([(True, False, False, True, False)])
    assert found.auroc == 0.5
    assert 0.3 < found.accuracy < 0.7
    assert 0.2 < found.f1 < 0.6


def test_two_clouds_and_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    there = np.repeat([True, False], 20)
    masks = np.column_stack([there, rng.permutation(there)])
    vectors = rng.normal(size=(40, 6)) + 30 * there[:, None]
    found = map_outputs(vectors, masks, np.arange(40), names=["one", "two"], rng=rng)
    assert found is not None
    near, far = found.separations
    assert near.silhouette is not None
    assert near.silhouette > 0.7
    assert near.p_value == pytest.approx(1 / 500)
    assert far.p_value is not None
    assert far.p_value > 0.05
    assert found.tsne is not None
    ends = found.tsne[there].mean(axis=0), found.tsne[~there].mean(axis=0)
    assert np.linalg.norm(ends[0] - ends[1]) > found.tsne[there].std()


def test_silhouettes_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import pairwise_distances, silhouette_score

    rng = np.random.default_rng(5)
    vectors = rng.integers(0, 3, size=(12, 2)).astype(float)  # some points lie on each other
    there = np.column_stack([rng.permutation(np.arange(12) < size) for size in (2, 5, 10)])
    found = silhouettes(pairwise_distances(vectors), there)
    assert found == pytest.approx([silhouette_score(vectors, column) for column in there.T])


def test_a_map_of_too_little_says_so() -> None:
    rng = np.random.default_rng(0)
    assert map_outputs(np.zeros((8, 3)), np.ones((8, 1), dtype=bool), np.arange(8), names=["a"], rng=rng) is None
    vectors = rng.normal(size=(8, 3))
    found = map_outputs(vectors, np.ones((8, 1), dtype=bool), np.arange(8), names=["a"], rng=rng)
    assert found is not None
    assert found.separations[0].silhouette is None


def test_the_published_labels_fit_their_words() -> None:
    items = published_labels()
    assert len(items) == len({text for _, text, _ in items}) == 15  # 16 rows are published, one text twice
    assert items[0] == ("Deblurring", "Remove the blurriness from the image.", (True, False, True, False, False, False))
    for _, text, labels in items:
        assert len(split(text, "whitespace").spans) == len(labels)
        assert 0 < sum(labels) < len(labels)


def test_every_editor_is_asked_the_nine_conditions() -> None:
    for asked in (for_any(scene()), for_painter()):
        assert tuple(each.name for each in asked.stability) == CONDITIONS
        assert len(asked.labelled) in {15, LABELLED}
        assert asked.named(asked.mapped).marked.instruction.endswith(" ###")
        for each in asked.labelled:
            assert len(split(each.edit.instruction, "whitespace").spans) == len(each.labels or ())
    assert for_painter() == for_painter()


def test_too_few_masks_give_no_r2() -> None:
    found = whygen.explain_prompt(Dusk(), Edit(scene(), "night now"), encoder="patches", cache=None, budget=11)
    assert found.evidence is not None
    few = replace(found.evidence, effects=np.where(found.evidence.groups == 0, found.evidence.effects, np.nan))
    assert [row.r2 for row in surrogates("dark", found.model_copy(update={"evidence": few}))] == [None] * 4


def test_the_command_needs_a_picture_for_another_editor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "gsmile-editing", "--model", "diffusers/no/where", "-o", str(tmp_path)])
    assert end.value.code == 2
    assert "--data PICTURE" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_on_a_real_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_models.painter(tmp_path / "painter")
    image = tmp_path / "scene.png"
    image.write_bytes(scene().data)
    told = ["reproduce", "gsmile-editing", "--model", f"diffusers/{folder}", "--data", str(image), "--steps", "1"]
    told += ["--encoder", "patches", "--device", "cpu", "-q", "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as end:
        main(told)
    assert end.value.code == 0, capsys.readouterr().err
    for kind in ("md", "json", "html"):
        assert (tmp_path / "out" / f"gsmile-editing.{kind}").is_file()
