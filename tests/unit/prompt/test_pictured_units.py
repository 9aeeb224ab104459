"""Pictures in messages as units: what is cut, what is sent, and that the cause in a picture and in a word is found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen import PromptExplanation, explain_prompt, load
from whygen.errors import MissingExtraError, UsageError
from whygen.media import pictures
from whygen.models.planted.texts import POEM, SEEN, is_red, scene
from whygen.prompt.edits import superpixels
from whygen.prompt.options import PromptOptions
from whygen.prompt.pictured import PicturedUnits, picture_cut, split_pictured
from whygen.prompt.why.suspects import named_parts
from whygen.results.summary.passages import rows
from whygen.types import Chat, Edit, Message, Output, Picture, Request, ToolCall

SCENE = scene()
WORDS = "Tell me of this picture and the piano please"
PARTS = Chat((Message("system", "Be brief."), Message("user", "", parts=("Look:", SCENE, WORDS))))
PLAIN = Chat((Message("user", "one two", (SCENE, pictures.picture_of(np.full((20, 30, 3), 90, dtype=np.uint8)))),))


def cut(chat: Chat, units: str, **options: Any) -> PicturedUnits:
    chosen = PromptOptions(units=units, **options)
    found = picture_cut(chat, chosen)
    assert found is not None
    return split_pictured(chat, chosen, *found)


def keeping(units: PicturedUnits, kept: set[str]) -> Chat:
    parts = [text if piece.unit is None or units.texts[piece.unit] in kept else ""
             for piece, text in zip(units.pieces, units.parts, strict=True)]  # fmt: skip
    return units.join(parts)


def test_parts_and_images_are_units_in_one_game() -> None:
    units = cut(PARTS, "part")
    assert units.texts == ("Be brief.", "Look:", WORDS, "image 1")
    assert "[1 image, shown below]" in units.text
    assert units.join(units.parts) == PARTS
    assert keeping(units, {"Look:", "image 1"}).messages == (Message("user", "", parts=("Look:", SCENE)),)
    assert keeping(units, {WORDS}).messages == (Message("user", "", parts=(WORDS,)),)
    assert keeping(units, set()).messages == (Message("user", "…"),)


def test_images_after_a_text_are_left_out_one_by_one() -> None:
    units = cut(PLAIN, "image")
    assert units.texts == ("one", "two", "image 1", "image 2")
    assert keeping(units, {"two", "image 2"}).messages == (Message("user", "two", PLAIN.messages[0].images[1:]),)
    assert keeping(units, {"image 1"}).messages == (Message("user", "", (SCENE,)),)
    assert keeping(units, set()).messages == (Message("user", "…"),)


def test_a_region_that_is_taken_away_is_painted_over_and_nothing_else_is() -> None:
    units = cut(PARTS, "region", regions=9, fill="#808080")
    regions = [text for text in units.texts if "region" in text]
    gone = regions[2]
    sent = keeping(units, set(units.texts) - {gone})
    [image] = sent.messages[1].images
    changed = (pictures.pixels(image) != pictures.pixels(SCENE)).any(axis=-1)
    inside = units.shown[0].labels == regions.index(gone)
    assert (changed == inside).mean() > 0.999  # a pixel of the picture may be that grey
    assert (pictures.pixels(image)[inside] == 128).all()
    assert [part for part in sent.messages[1].parts if isinstance(part, str)] == ["Look:", WORDS]
    whole = keeping(units, set(units.texts) - set(regions)).messages[1].images
    assert (pictures.pixels(whole[0]) == 128).all()


@given(st.sets(st.integers(0, 30)))
def test_whatever_is_taken_away_every_message_says_something(gone: set[int]) -> None:
    for chat in (PARTS, PLAIN):
        units = cut(chat, "image")
        sent = units.join(["" if piece.unit in gone else text
                           for piece, text in zip(units.pieces, units.parts, strict=True)])  # fmt: skip
        assert all(message.text or message.images for message in sent.messages)
        assert sent.messages[-1].role == "user"


def test_a_call_of_tools_keeps_standing_without_its_picture() -> None:
    called = Message("assistant", "", calls=(ToolCall("look", "{}", "c"),))
    chat = Chat((Message("user", "Look up"), called, Message("tool", "", parts=(SCENE,), answers="c")))
    units = cut(chat, "image")
    assert keeping(units, {"Look", "up"}).messages[2] == Message("tool", "…", answers="c")


def test_what_is_cut_with_what_may_be_said_in_either_order_and_is_listed_where_it_is_unknown() -> None:
    for way in ("sentence+region", "region+sentence"):
        assert picture_cut(PARTS, PromptOptions(units=way)) == ("sentence", "region")
    with pytest.raises(UsageError, match="Did you mean 'region'") as refused:
        explain_prompt("planted/picture-words", PARTS, units="regions")
    assert "image" in str(refused.value)


@pytest.mark.parametrize("units", ["image", "sentence+region"])
def test_a_picture_that_a_tool_gave_back_is_a_suspect_as_its_words_are(units: str) -> None:
    called = Message("assistant", "", calls=(ToolCall("look", "{}", "c"),))
    seen = Message("tool", "", parts=("A page.", SCENE), answers="c")
    chat = Chat((Message("user", "", parts=(SCENE, "Look.")), called, seen))
    names, suspects = named_parts(cut(chat, units))
    accused = {name.partition(",")[0] for name, one in zip(names, suspects, strict=True) if one and "image" in name}
    assert accused == {"image 2"}
    assert any(name.startswith("image 1") for name in names)


def test_pictures_and_words_can_be_pinned() -> None:
    units = cut(PLAIN, "image", pin=["image 2", "role:user"])
    assert units.texts == ("image 1",)
    regions = cut(PARTS, "region", pin=["image 1, region 2", "piano"])
    assert "image 1, region 2" not in regions.texts
    assert "piano" not in regions.texts
    with pytest.raises(UsageError, match="Everything in the prompt is pinned"):
        cut(PLAIN, "image", pin=["image 1", "image 2", "role:user"])


@pytest.mark.parametrize(
    ("chat", "options", "said"),
    [
        (Chat((Message("user", "no picture"),)), {"units": "region"}, "cuts the pictures of a chat, and it has none"),
        (Chat((Message("user", "no picture"),)), {"units": "line+image"}, "Use units='line'"),
        (PARTS, {"units": "image", "operator": "noise"}, "pictures are units here"),
        (PARTS, {"units": "verse+image"}, "verse"),
    ],
)
def test_what_cannot_be_cut_is_refused(chat: Chat, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        explain_prompt("planted/picture-words", chat, **options)


def test_images_are_always_sent_where_they_are_no_units() -> None:
    found = explain_prompt("planted/picture-words", PARTS, units="message", target="tfidf", budget=20)
    assert found.picture_share is None
    assert "always sent" in found.prompt
    assert SEEN in found.reference.text


def ball_of(found: PromptExplanation) -> str:
    """The region that holds most of the ball."""
    assert found.evidence is not None
    assert found.evidence.pictures is not None
    labels = found.evidence.pictures.regions
    assert labels is not None
    red = labels[is_red(pictures.pixels(SCENE))]
    return found.units[int(np.bincount(red[red >= 0]).argmax())].text


def test_the_region_and_the_word_behind_an_answer_are_found(tmp_path: Path) -> None:
    found = explain_prompt("planted/picture-words", PARTS, units="region", target="tfidf", budget=160, seed=3)
    assert found.reference.text.endswith(f"{SEEN} {POEM}")
    assert {unit.text for unit in found.units if unit.significant} == {"piano", ball_of(found)}
    share = found.picture_share
    assert share is not None
    assert share.share is not None
    assert share.share_low is not None
    assert share.share_low <= share.share <= (share.share_high or 0.0)
    assert 0.3 < share.share < 0.6
    kept = load(found.save(tmp_path / "run"))
    assert isinstance(kept, PromptExplanation)
    assert kept.picture_share == share
    assert ball_of(kept) == ball_of(found)
    again = kept.read(target="exact")
    assert again.picture_share is not None
    assert ball_of(again) == ball_of(found)
    page = kept.to_html()
    assert "The pictures that the model was shown" in page
    assert "hangs on the pictures" in page
    assert "always sent]" not in page.partition('id="whygen-explanation"')[0]
    sent = [part for row in rows(kept, decimals=2) for part in row["parts"]]
    assert any(part["state"] == "gone" and "image 1, region" in part["text"] for part in sent)


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
def test_the_share_of_a_known_game_is_met(estimand: str) -> None:
    def weighs(request: Request) -> Output:
        prompt = request.prompt
        assert isinstance(prompt, Chat)
        images = [image for message in prompt.messages for image in message.images]
        text = " ".join(message.text for message in prompt.messages)
        return Output(text=str(3.0 * len(images) + sum(word in text for word in ("one", "two"))))

    def value(text: str) -> float:
        return float(text)

    found = explain_prompt(weighs, PLAIN, units="image", target=value, estimand=estimand, budget=40)
    assert found.picture_share is not None
    assert found.picture_share.units == 2
    assert found.picture_share.value == pytest.approx(6.0)
    assert found.picture_share.share == pytest.approx(6.0 / 8.0)


def test_regions_of_an_edit_stay_what_they_were() -> None:
    assert picture_cut(Edit(SCENE, "brighter"), PromptOptions(units="region")) is None  # type: ignore[arg-type]
    assert isinstance(SCENE, Picture)


def test_regions_ask_for_their_own_package_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(MissingExtraError, match=r"whygen\[regions\]"):
        superpixels(np.zeros((8, 8, 3), dtype=np.uint8), 4)
