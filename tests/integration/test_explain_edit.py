"""Edits explained end to end: words, regions, the store, refusals, and editors that do not listen."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

import tiny_models
import whygen
from whygen import PromptExplanation
from whygen.cli import main
from whygen.errors import FormatError, MissingError, UsageError
from whygen.media import pictures
from whygen.results.summary import summarise
from whygen.results.summary.places import places
from whygen.types import Edit, Failure, JsonValue, Limits, Output, Picture, Request, Settings

FAST = Settings(extra={"steps": 2, "guidance_scale": 1.0})
WORDS = ("please", "make", "night", "now")


def scene() -> Picture:
    values = np.full((24, 24, 3), 200, dtype=np.uint8)
    values[12:, :12] = (40, 160, 40)
    values[12:, 12:] = (160, 40, 40)
    return pictures.picture_of(values)


class Editor:
    """Darkens the upper half at the word ``night``; nothing else counts. ``blank`` words blank the picture."""

    uri = "test/editor"
    limits = Limits(max_batch=8)
    output_kind: Literal["picture"] = "picture"

    def __init__(self, *, deaf: bool = False, blank: str = "") -> None:
        self.deaf, self.blank, self.calls = deaf, blank, 0

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        return {"uri": self.uri}

    def answers_alike(self, settings: Settings) -> bool:
        """It is a rule, and draws from no seed."""
        return True

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        self.calls += len(requests)
        return [self.draw(request) for request in requests]

    def draw(self, request: Request) -> Output:
        prompt = request.prompt
        assert isinstance(prompt, Edit)
        values = pictures.pixels(prompt.image)
        words = [] if self.deaf else prompt.instruction.split()
        if self.blank and self.blank in words:
            return Output(picture=pictures.picture_of(np.zeros_like(values)), finish="refused")
        if "night" in words:
            values[:12] //= 4
        return Output(picture=pictures.picture_of(values))


def explain(model: object, edit: Edit | None = None, **choices: object) -> PromptExplanation:
    given = edit or Edit(scene(), " ".join(WORDS))
    return whygen.explain_prompt(model, given, **{"encoder": "patches", "cache": None, "budget": 40, **choices})


@pytest.mark.parametrize("target", ["auto", "sinkhorn", "energy", "cosine", "euclidean", "pixel"])
def test_the_word_that_counts_is_found_by_every_target(target: str) -> None:
    encoder = "auto" if target == "pixel" else "patches"
    found = explain(Editor(), target=target, encoder=encoder)
    values = {unit.text: unit.attribution for unit in found.units}
    assert values["night"] > 0
    assert all(abs(values[word]) < 1e-6 for word in WORDS if word != "night")


def test_the_map_shows_where_and_how_much() -> None:
    found = explain(Editor())
    assert found.evidence is not None
    drawn = found.evidence.pictures
    assert drawn is not None
    assert drawn.changes is not None
    before = pictures.pixels(scene()).astype(float) / 255
    expected = np.zeros((24, 24))
    expected[:12] = before[0, 0, 0] - 50 / 255
    for word, change in zip(WORDS, drawn.changes, strict=True):
        assert change == pytest.approx(expected if word == "night" else 0 * expected, abs=1e-3)


def test_regions_of_the_picture() -> None:
    found = explain(Editor(), units="region", regions=4, budget=60)
    assert found.prompt.startswith(" ".join(WORDS))
    assert {unit.text for unit in found.units} == {f"region {i + 1}" for i in range(len(found.units))}
    assert max(unit.attribution for unit in found.units) > 0
    assert "region" in found.to_html()
    assert found.evidence is not None
    assert found.evidence.pictures is not None
    regions = found.evidence.pictures.regions
    assert regions is not None
    where = places(found)
    assert where[regions[20, 3]] == "lower left"
    assert where[regions[20, 20]] == "lower right"
    assert "upper" in where[regions[2, 12]] or "all across, upper" in where[regions[2, 12]]
    named = [f"({place})" in summarise(found)["headline"] for place in where]
    assert named == [unit.significant is True for unit in found.units]


def layer(url: str) -> np.ndarray:
    """Where a picture in the page is not clear."""
    data = base64.b64decode(url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))[..., 3] > 0


def test_the_report_shows_what_was_sent_of_a_picture_cut_into_regions() -> None:
    found = explain(Editor(), units="region", regions=4, budget=60)
    assert found.evidence is not None
    assert found.evidence.pictures is not None
    labels, shown = found.evidence.pictures.regions, summarise(found)
    assert labels is not None
    hidden = shown["pictures"]["hidden"]
    assert set(hidden) == {sample.mask for sample in found.evidence.samples if sample.mask is not None}
    assert len(hidden) > 10
    for row, url in hidden.items():
        assert (layer(url) == ~found.evidence.masks[row][labels]).all()
    for sample, row in zip(found.evidence.samples, shown["samples"]["rows"], strict=True):
        kept = np.ones(len(found.units)) if sample.mask is None else found.evidence.masks[sample.mask]
        gone = [unit.text for unit, stays in zip(found.units, kept, strict=True) if not stays]
        assert row["parts"][0]["text"] == (", ".join(gone) or " ".join(WORDS))
    strips = [each for unit in shown["pictures"]["units"] for each in (*unit["with"], *unit["without"])]
    assert strips
    assert all(each["mask"] in hidden for each in strips)
    assert found.to_html().count("squares were painted over") > len(hidden)


def test_a_pinned_region_is_never_painted_over() -> None:
    found = explain(Editor(), units="region", regions=4, budget=60, pin=["region 1"])
    assert found.evidence is not None
    assert found.evidence.pictures is not None
    held = found.evidence.pictures.regions == -1
    assert held.any()
    assert not any(layer(url)[held].any() for url in summarise(found)["pictures"]["hidden"].values())


def test_an_editor_that_does_not_listen_is_told() -> None:
    found = explain(Editor(deaf=True))
    assert "same-output" in [each.code for each in found.warnings]
    assert not any(unit.significant for unit in found.units)
    assert "prompts changed what this target sees" in found.to_html()


def test_blank_frames_count_as_refusals_and_a_refused_reference_is_told() -> None:
    codes = [each.code for each in explain(Editor(blank="please")).warnings]
    assert "refused-reference" in codes
    assert "odd-answers" in codes
    assert not {"odd-answers", "refused-reference"} & {each.code for each in explain(Editor()).warnings}


class Restless(Editor):
    """Does not listen, and draws otherwise each time."""

    def draw(self, request: Request) -> Output:
        noise = np.random.default_rng(request.sampling_seed).integers(0, 40, (24, 24, 3), dtype=np.uint8)
        return Output(picture=pictures.picture_of(pictures.pixels(scene()) + noise))


def test_noise_is_not_taken_for_a_cause() -> None:
    runs = [explain(Restless(), settings=Settings(temperature=1.0, seed=s), seed=s, budget=64) for s in range(15)]
    assert all(found.noise.differs for found in runs)
    quiet = [found for found in runs if not any(unit.significant for unit in found.units)]
    assert len(quiet) >= 13
    for found in runs:
        assert found.evidence is not None
        whole = found.evidence.effects[found.evidence.masks.all(axis=1)]
        assert len(whole) == 1  # one mask of sixteen, whose noise is that of its repeats
        assert len(np.unique(found.evidence.masks, axis=0)) == len(found.evidence.masks) == 16
        assert found.calls.asked <= 64
    assert "No word of this prompt stands out." in quiet[0].to_html()


def test_an_editor_that_only_draws_black_is_told() -> None:
    class Black(Editor):
        def draw(self, request: Request) -> Output:
            return Output(picture=pictures.picture_of(np.zeros((24, 24, 3), dtype=np.uint8)), finish="refused")

    found = explain(Black())
    assert {"refused-reference", "same-output", "odd-answers"} <= {each.code for each in found.warnings}
    assert not any(unit.significant for unit in found.units)
    assert "refused" in found.to_html()


def modes() -> dict[str, Image.Image]:
    """The scene in every mode that a file may have, at an odd size."""
    image = Image.fromarray(pictures.pixels(scene())).resize((23, 31))
    deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
    return {
        "palette": image.quantize(16), "grey": image.convert("L"), "bits": image.convert("1"),
        "alpha": image.convert("RGBA"), "grey and alpha": image.convert("LA"), "16 bits": Image.fromarray(deep),
    }  # fmt: skip


@pytest.mark.parametrize("mode", list(modes()))
@pytest.mark.parametrize("units", ["word", "region"])
def test_pictures_of_odd_sizes_and_modes_are_explained(mode: str, units: str) -> None:
    buffer = io.BytesIO()
    modes()[mode].save(buffer, "PNG")
    found = explain(Editor(), Edit(Picture(buffer.getvalue()), " ".join(WORDS)), units=units, regions=3)
    assert max(unit.attribution for unit in found.units) > 0
    assert "data:image/png" in found.to_html()


def bad_files() -> dict[str, tuple[bytes, str]]:
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    vast = Image.new("1", (6000, 6000))
    buffer = io.BytesIO()
    vast.save(buffer, "PNG")
    return {
        "truncated": (pictures.picture_of(noise).data[:900], "cut short"),
        "empty": (b"", "no picture"),
        "a text": (b"make it night", "no picture"),
        "vast": (buffer.getvalue(), "Make it smaller"),
    }


@pytest.mark.parametrize("kind", list(bad_files()))
def test_a_bad_picture_ends_the_command_with_what_to_do(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, said = bad_files()[kind]
    image = tmp_path / "given.png"
    image.write_bytes(data)
    with pytest.raises(SystemExit) as end:
        main(["edit", "diffusers/never/opened", str(image), "make it night"])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert said in " ".join(told.split())
    assert "Traceback" not in told


@pytest.mark.parametrize("instruction", ["", "   ", "\n"])
def test_an_empty_instruction_ends_the_command(
    instruction: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "given.png"
    image.write_bytes(scene().data)
    with pytest.raises(SystemExit) as end:
        main(["edit", "diffusers/never/opened", str(image), "--text", instruction])
    assert end.value.code == 2
    assert "never" not in capsys.readouterr().err


def test_a_second_run_costs_no_call(tmp_path: Path) -> None:
    first, second = Editor(), Editor()
    one = explain(first, cache=tmp_path / "calls.sqlite")
    two = explain(second, cache=tmp_path / "calls.sqlite")
    assert first.calls > 0
    assert second.calls == 0
    assert [unit.attribution for unit in one.units] == [unit.attribution for unit in two.units]
    assert one.evidence == two.evidence


def test_saved_and_loaded_with_its_pictures(tmp_path: Path) -> None:
    found = explain(Editor(), units="region", regions=4)
    found.save(tmp_path)
    loaded = PromptExplanation.load(tmp_path)
    assert loaded.evidence == found.evidence
    assert loaded.to_html() == found.to_html()
    file = tmp_path / "pictures.safetensors"
    data = bytearray(file.read_bytes())
    data[data.index(b"IHDR") + 6] ^= 0xFF
    file.write_bytes(bytes(data))
    with pytest.raises(FormatError, match=r"pictures\.safetensors"):
        PromptExplanation.load(tmp_path)


def test_the_report_carries_no_script_and_each_picture_once() -> None:
    page = explain(Editor(), Edit(scene(), "<script>alert(1)</script> night please now")).to_html()
    assert "<script>alert" not in page
    assert page.count('<symbol id="picture-') == page.count("</symbol>")
    assert page.count("<symbol") <= 4  # given, dark, and whatever else was drawn


def test_the_published_procedure_for_pictures() -> None:
    found = explain(Editor(), preset="gsmile-images", budget=33)
    values = {unit.text: unit.attribution for unit in found.units}
    assert found.preset == "gsmile-images"
    assert found.target.name == "coordinate-wasserstein"
    assert max(values, key=lambda word: values[word]) == "night"


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"target": "tfidf"}, "target for pictures"),
        ({"target": "pixel", "encoder": "patches"}, "uses none"),
        ({"hierarchy": "auto"}, "long texts"),
        ({"units": "region", "preset": "gsmile-images"}, "units='whitespace'"),
    ],
)
def test_what_does_not_go_together_says_so(choices: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        explain(Editor(), **choices)


def test_a_matrix_of_sentences_is_refused_before_a_call() -> None:
    editor = Editor()
    with pytest.raises(UsageError, match="here answers are pictures"):
        explain(editor, matrix="sentence")
    assert editor.calls == 0


def test_an_empty_instruction_is_refused_before_a_call() -> None:
    editor = Editor()
    with pytest.raises(UsageError, match="instruction is empty"):
        explain(editor, Edit(scene(), "  "))
    assert editor.calls == 0


def test_a_real_pipeline_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_models.painter(tmp_path / "painter")
    image = tmp_path / "scene.png"
    image.write_bytes(scene().data)
    told = ["edit", f"diffusers/{folder}", str(image), "make it night", "--steps", "2", "--guidance-scale", "1"]
    told += [
        "--encoder",
        "patches",
        "--budget",
        "24",
        "--device",
        "cpu",
        "--no-cache",
        "-q",
        "-o",
        str(tmp_path / "out"),
    ]
    with pytest.raises(SystemExit) as end:
        main(told)
    assert end.value.code == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "pictures.safetensors").is_file()


def test_a_text_to_a_picture(tmp_path: Path) -> None:
    folder = tiny_models.painter(tmp_path / "painter", kind="")
    settings = Settings(extra={**FAST.extra, "height": 16, "width": 16})
    found = whygen.explain_prompt(
        f"diffusers/{folder}", "a river at night", encoder="patches", settings=settings, cache=None, budget=24
    )
    assert found.evidence is not None
    assert found.evidence.pictures is not None
    assert found.evidence.pictures.input is None
    assert "picture-0" in found.to_html()


def test_missing_weights_of_the_painter_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from whygen.demo import provider
    from whygen.models import load_model

    monkeypatch.setattr(provider, "painter_path", lambda: tmp_path)
    with pytest.raises(MissingError, match="painter's weights"):
        load_model("demo/painter")


def test_an_editor_without_a_picture_is_refused_before_it_is_asked() -> None:
    with pytest.raises(UsageError, match="changes a picture, and was given none"):
        whygen.explain_prompt("demo/painter", "make it night", cache=None)


def test_the_report_opens_on_the_strongest_word_and_shows_pictures_that_differ() -> None:
    found = explain(Editor(), target="pixel", encoder="auto")
    shown = summarise(found)["pictures"]
    assert found.units[shown["first"]].text == "night"
    assert f'id="pick-{shown["first"]}" checked' in found.to_html()
    assert len(shown["most"]) == len(shown["least"]) == 1  # this editor draws two pictures, whatever is left out
    assert shown["most"][0]["picture"] != shown["least"][0]["picture"]
    masked = sum(sample.kind == "mask" for sample in found.evidence.samples)
    assert shown["most"][0]["alike"] + shown["least"][0]["alike"] == masked
    night = shown["units"][shown["first"]]
    assert len(night["with"]) == len(night["without"]) == 1
    assert shown["slides"]
    assert shown["every"] is None  # one word alone changes anything: its own map shows that


def test_all_words_stand_in_one_picture_each_in_a_colour_of_its_own() -> None:
    class Two(Editor):
        def draw(self, request: Request) -> Output:
            drawn = super().draw(request)
            values = pictures.pixels(drawn.picture)
            if "now" in request.prompt.instruction.split():
                values[12:] = 255 - values[12:]
            return Output(picture=pictures.picture_of(values))

    found = explain(Two(), target="pixel", encoder="auto")
    every = summarise(found)["pictures"]["every"]
    assert {each["text"] for each in every["legend"]} == {"night", "now"}
    data = base64.b64decode(every["heat"].partition(",")[2])
    layer_ = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    colours = {each["text"]: each["colour"] for each in every["legend"]}
    for word, place in (("night", (3, 3)), ("now", (20, 3))):
        assert "#{:02x}{:02x}{:02x}".format(*layer_[place][:3]) == colours[word]


def test_regions_are_shown_cut_out_and_by_where_they_are() -> None:
    found = explain(Editor(), units="region", regions=4, budget=60)
    crops = summarise(found)["pictures"]["crops"]
    assert len(crops) == len(found.units)
    assert {"upper", "lower left", "lower right"} & {crop["where"] for crop in crops} != set()
    assert found.to_html().count('class="crop"') >= 3 * len(crops)
