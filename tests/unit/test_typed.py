"""Arguments of the wrong kind are refused at the door, in words; whatever has the right kind passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import whygen
from whygen import Chat, Edit, Message
from whygen.errors import DataError, MissingError, UsageError
from whygen.pictures import picture_from, pixels
from whygen.prompt.options import PromptOptions
from whygen.typed import check_fields, kinds_of, typed
from whygen.types import Settings

PROMPT = "Tell me a short story about a brave dog"


@typed("own")
def asked(
    calls: int, *, share: float | None = None, names: Sequence[str] = (), how: Literal["a", "b"] = "a",
    place: Path | str | None = None, score: Callable[[str], float] | str = "x", own: int = 1,
) -> int:  # fmt: skip
    return calls


@given(st.integers(), st.none() | st.floats(allow_nan=False) | st.integers() | st.fractions())
def test_what_has_the_right_kind_passes(calls: int, share: float | Fraction | None) -> None:
    assert asked(calls, share=share, names=["a"], place=Path()) == calls  # type: ignore[arg-type]
    assert asked(np.int64(3), share=np.float32(2), names=("a", "b"), score=len) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"calls": "64"}, "calls is '64', of type str: give a whole number."),
        ({"calls": 64.0}, "calls is 64.0, of type float: give a whole number."),
        ({"calls": True}, "calls is True, of type bool: give a whole number."),
        ({"calls": 1, "share": "half"}, "share is 'half', of type str: give a number or None."),
        ({"calls": 1, "names": "one"}, "names is 'one', of type str: give a list of str."),
        ({"calls": 1, "how": 3}, "how is 3, of type int: give a str."),
        ({"calls": 1, "place": 5}, "place is 5, of type int: give a path, a str or None."),
    ],
)
def test_what_has_not_is_refused_by_name(given_: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        asked(**given_)
    assert str(error.value) == words


def test_a_hint_that_is_no_plain_kind_is_left_alone() -> None:
    assert asked(1, score=object(), own="checked by itself") == 1  # type: ignore[arg-type]
    assert "score" not in kinds_of(asked.__wrapped__)  # type: ignore[attr-defined]


def test_a_missing_argument_is_told_as_python_tells_it() -> None:
    with pytest.raises(TypeError, match="calls"):
        asked()  # type: ignore[call-arg]


def test_fields_are_checked_as_arguments_are() -> None:
    @dataclass(frozen=True)
    class Chosen:
        number: int = 1

        def __post_init__(self) -> None:
            check_fields(self)

    # the class is local, so its hints are looked up as it stands
    assert get_type_hints(Chosen) == {"number": int}
    with pytest.raises(UsageError, match="number is 'one'"):
        Chosen("one")  # type: ignore[arg-type]


NUMBERS = [name for name, kinds in kinds_of(PromptOptions).items() if set(kinds) <= {int, float, type(None)}]


@pytest.mark.parametrize("name", [*NUMBERS, "seed"])
def test_every_number_of_explain_prompt(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} is 'many', of type str: give a"):
        whygen.explain_prompt("demo/storyteller", PROMPT, cache=None, **{name: "many"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [("settings", {"temperature": 0}), ("cache", 5), ("options", {"device": "cpu"}), ("run", 64), ("pin", "story"),
     ("estimand", 3), ("hierarchy", True)],
)  # fmt: skip
def test_other_arguments_of_explain_prompt(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^{name} is "):
        whygen.explain_prompt("demo/storyteller", PROMPT, **{name: value})  # type: ignore[arg-type]


def test_the_other_doors() -> None:
    with pytest.raises(UsageError, match=r"^alpha is '5%'"):
        whygen.explain_anchors("demo/digits-vae", np.zeros((4, 28, 28)), alpha="5%")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^budget is 1\.5"):
        whygen.evaluate("nowhere", budget=1.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^first is 'a', of type str: give a PromptExplanation"):
        whygen.compare("a", "b")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^temperature is 'hot'"):
        Settings(temperature="hot")  # type: ignore[arg-type]


def test_a_chat_of_a_list_is_one_of_a_tuple() -> None:
    turns = [Message("user", PROMPT)]
    assert Chat(turns) == Chat(tuple(turns))
    assert hash(Chat(turns)) == hash(Chat(tuple(turns)))


def test_pictures_from_whatever_holds_one(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image, file = Image.fromarray(values), tmp_path / "a.png"
    image.save(file)
    for held in (file, str(file), file.read_bytes(), image, values, picture_from(values)):
        assert np.array_equal(pixels(picture_from(held)), values)
    with pytest.raises(MissingError, match="no picture at"):
        picture_from(tmp_path / "b.png")
    with pytest.raises(DataError, match="A list is no picture"):
        picture_from([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize("image", ["a.png", Image.new("RGB", (8, 8)), None])
def test_an_image_that_is_no_picture_is_told_how_to_become_one(image: object) -> None:
    with pytest.raises(UsageError, match=r"whygen\.pictures\.picture_from"):
        Edit(image, "make it night")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"whygen\.pictures\.picture_from"):
        Message("user", "What is this?", images=(image,))  # type: ignore[arg-type]
