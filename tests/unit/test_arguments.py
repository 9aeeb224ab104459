"""Arguments of the wrong kind are refused at the door, in words; whatever has the right kind passes."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any, Literal, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import whygen
from whygen import Chat, Edit, Message, Template
from whygen._arguments import check_fields, kinds_of, typed
from whygen.calls import Budget, Progress, Rates, RunOptions, Silent
from whygen.errors import DataError, MissingError, UsageError
from whygen.media.films import read_video
from whygen.media.pictures import picture_from, pixels, read_picture
from whygen.media.sounds import read_sound
from whygen.models import ModelOptions
from whygen.prompt.options import PromptOptions
from whygen.types import Picture, Settings

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
        ({"calls": "64"}, "calls is '64', of type str: give a whole number. Write calls=64."),
        ({"calls": 64.0}, "calls is 64.0, of type float: give a whole number. Write calls=64."),
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


TEMPLATE = whygen.Template("Say {q} now")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (asked, "asked: missing a required argument: 'calls'. It takes calls; all else by name."),
        (lambda: asked(1, 2), "asked: too many positional arguments"),
        (lambda: asked(1, calls=2), "asked: multiple values for argument 'calls'"),
        (lambda: asked(1, shre=0.5), "asked takes no argument 'shre'. Did you mean share=0.5?"),
        (lambda: asked(1, zzz=0.5), "asked takes no argument 'zzz'. It takes: calls, how, names, own, place, score"),
        (lambda: whygen.explain_prompt(str, "a b", temperature=0.7), r"Write settings=Settings(temperature=0.7)"),
        (lambda: whygen.explain_prompt(str, "a b", stop=["x"]), r"Write settings=Settings(stop=['x'])"),
        (lambda: whygen.explain_prompt(str, "a b", base_url="u"), r"Write options=ModelOptions(base_url='u')"),
        (lambda: whygen.explain_prompt(str, "a b", max_cost=2), r"Write run=RunOptions(spending=Budget(money=2))"),
        (lambda: whygen.explain_prompt(str, "a b", deadline=9), r"Write run=RunOptions(deadline=9)"),
        (lambda: whygen.explain_prompt(str, "a b", refrences=2), "Did you mean references=2?"),
        (lambda: whygen.explain_prompt(str, "a b", max_token=7), "Write settings=Settings(max_tokens=7)"),
        (lambda: asked(1, shre=np.ones((9, 9))), "Did you mean share=...?"),
        (lambda: whygen.explain_prompt(str, Path("a.txt")), "Write path.read_text(encoding='utf-8')"),
        (lambda: whygen.explain_prompt(str, b"a b"), "Write prompt.decode()"),
        (lambda: whygen.explain_prompt("a b", str), "The model comes first"),
        (lambda: whygen.explain_prompt(str, [{"role": "user", "content": "a b"}]), "Write Chat([Message(turn['role']"),
        (
            lambda: whygen.explain_prompt(str, (("system", "a"), ("user", "b"))),
            "Chat([Message(*turn) for turn",
        ),
        (lambda: whygen.explain_prompt(str, {"messages": []}), "whygen.Call.read(prompt)"),
        (lambda: whygen.explain_prompt(str, {"role": "user", "content": "a b"}), "for turn in [prompt]]"),
        (
            lambda: whygen.explain_prompt(str, [{"role": "user", "content": [{"text": "a"}]}]),
            "''.join(part.get('tex",
        ),
        (lambda: whygen.explain_prompt(str, [{"role": "user", "parts": [{"text": "a"}]}]), "turn['parts'][0]['text']"),
        (lambda: whygen.explain_prompt(str, [SimpleNamespace(type="human", content="a")]), "turn.type), turn.content)"),
        (lambda: whygen.explain_prompt(str, io.StringIO("a b")), "Write prompt.read()"),
        (lambda: whygen.explain_prompt(str, ["a b", "c d"]), "whygen.explain_many(model, list of texts)"),
        (lambda: whygen.explain_prompt(str, np.array(["a b", "c d"])), "whygen.explain_many(model, list of texts)"),
        (lambda: whygen.explain_prompt(SimpleNamespace(invoke=str), "a b"), "Give lambda prompt: model.invoke(prompt)"),
        (
            lambda: whygen.explain_prompt(str, TEMPLATE, inputs={"q": ["a", "b"]}),
            "[dict(zip(data, row)) for row in",
        ),
        (lambda: whygen.explain_prompt(str, TEMPLATE, inputs=iter([{"q": "a"}])), "Give inputs=list(data)"),
        (lambda: whygen.explain_prompt(str, TEMPLATE, inputs=np.array(["a"])), "Give inputs=data.tolist()"),
        (lambda: whygen.explain_prompt(str, "a b", zzz=2), "takes no argument 'zzz'. It takes: budget, cache"),
        (lambda: whygen.explain_prompt("Tell a story"), "explain_prompt('demo/storyteller', 'Tell a story')"),
        (lambda: whygen.explain_anchors("demo/digits-vae", [1], refrence=3), "Did you mean reference=3?"),
        (lambda: whygen.explain_prompt(str, Chat(()), input=["a"]), "Did you mean inputs=['a']?"),
        (lambda: whygen.explain_prompt("openai/x", "a b", api_key="sk-1"), "Keys come from the environment alone"),
        (lambda: Settings(temperature=-0.5), "temperature=-0.5: give a number of 0 or more"),
        (lambda: Settings(top_p=1.5), "top_p=1.5: give a share within 0 to 1"),
        (lambda: Settings(top_p=float("-inf")), "top_p=-inf: give a share"),
        (lambda: Settings(temprature=1), "Settings takes no argument 'temprature'. Did you mean temperature=1?"),
        (lambda: Settings(0.5), "Settings: too many positional arguments. It takes nothing by position"),
        (lambda: Message("user"), "Message: missing a required argument: 'text'. It takes role and text and images"),
        (lambda: PromptOptions(budgt=3), "Did you mean budget=3?"),
        (lambda: whygen.explain_prompt(str, "a b", n_samples=9), "Did you mean budget=9?"),
        (lambda: whygen.explain_prompt(str, "a b", max_new_tokens=9), "Write settings=Settings(max_tokens=9)"),
        (lambda: whygen.explain_prompt(str, "a b", shap=True), "Did you mean estimand='shapley'?"),
        (lambda: whygen.explain_anchors("demo/digits-vae", data=[1]), "Did you mean anchors=[1]?"),
        (lambda: whygen.explain_prompt(str, text="a b"), "Did you mean prompt='a b'?"),
        (lambda: whygen.explain_prompt(str, "a b", budget="64"), "give a whole number. Write budget=64."),
        (lambda: whygen.explain_prompt(str, "a b", budget=64.0), "Write budget=64."),
        (lambda: whygen.explain_prompt(str, "a b", budget=True), "budget is True"),
        (lambda: whygen.explain_prompt(str, "a b", cache=False), "Write cache=None."),
        (lambda: whygen.explain_prompt(str, "a b", progress=True), "Leave it out."),
        (lambda: whygen.explain_prompt(str, "a b", settings={"seed": 1}), "Write settings=Settings(seed=1)."),
        (lambda: whygen.Call.read(pick="last"), "read: missing a required argument: 'path'"),  # type: ignore[call-arg]
        (lambda: whygen.compare("first", "second"), "Write whygen.load('first')."),
        (lambda: ModelOptions(device="gpu"), "device='gpu' is no device. Write cpu, cuda"),
        (lambda: ModelOptions(devices="cpu"), "Did you mean device='cpu'?"),
        (lambda: Budget(dollars=3), "Budget takes no argument 'dollars'"),
    ],
)
def test_what_is_not_known_or_missing_is_told_with_the_line_to_write(call: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError) as error:
        call()
    assert words in str(error.value)


@pytest.mark.parametrize(
    "name", ["apiKey", "OPENAI_API_KEY", "anthropic_key", "auth_token", "client_secret", "hf_token"]
)
def test_a_key_by_any_name_is_told_its_place_and_not_shown(name: str) -> None:
    for door in (lambda **key: whygen.explain_prompt("openai/x", "a b", **key), ModelOptions):
        with pytest.raises(UsageError, match="Keys come from the environment alone") as error:
            door(**{name: "sk-one-two-three"})
        assert "sk-one" not in str(error.value)
    with pytest.raises(UsageError, match=r"max_tokens=3"):
        whygen.explain_prompt("openai/x", "a b", max_token=3)


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
    with pytest.raises(UsageError, match=r"whygen\.media\.pictures\.picture_from"):
        Edit(image, "make it night")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"whygen\.media\.pictures\.picture_from"):
        Message("user", "What is this?", images=(image,))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [["fox"], "fox", object(), {1: 2}])
@pytest.mark.parametrize(
    ("make", "name"), [(Budget, "calls"), (Rates, "requests_per_minute"), (RunOptions, "deadline")]
)
def test_a_bound_of_the_wrong_kind_is_refused_in_words(make: Any, name: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"{name} is .* give a"):
        make(**{name: value})


@pytest.mark.parametrize("pin", [[1], [None], ["fox", 2], (b"fox",)])
def test_a_list_of_other_things_than_texts_is_refused(pin: Any) -> None:
    with pytest.raises(UsageError, match=r"pin is .* give a list of str"):
        whygen.explain_prompt(lambda text: text, "a fox ran", pin=pin, target="token-set", cache=None)


@typed()
def placed(
    size: tuple[int, int] | None = None, *, shape: tuple[int | None, ...] = (), things: Sequence[object] = (),
    progress: Progress | str = "no", table: Mapping[str, int] | None = None, place: Path | str = "",
) -> bool:  # fmt: skip
    return True


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"size": 8}, "size is 8, of type int: give (a whole number, a whole number) or None."),
        ({"size": (8, 8, 8)}, "size is (8, 8, 8), of type tuple: give (a whole number, a whole number) or None."),
        ({"size": (8, "8")}, "size is (8, '8'), of type tuple: give (a whole number, a whole number) or None."),
        ({"shape": (None, 2.5)}, "shape is (None, 2.5), of type tuple: give (a whole number or None, ...)."),
        ({"things": len}, "things is <built-in function len>, of type builtin_function_or_method: give a list."),
        ({"things": {"a": 1}}, "things is {'a': 1}, of type dict: give a list."),
        ({"things": np.array(3)}, "things is array(3), of type ndarray: give a list."),
        ({"progress": np.zeros(2)}, "progress is array([0., 0.]), of type ndarray: give a Progress or a str."),
        ({"table": [1]}, "table is [1], of type list: give a dict or None."),
        ({"size": (10**5000, 1)}, "size is <tuple>, of type tuple: give (a whole number, a whole number) or None."),
    ],
)
def test_rows_lists_dicts_and_protocols_are_told_apart(given_: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        placed(**given_)
    assert str(error.value) == words


def test_rows_lists_dicts_and_protocols_that_fit_pass() -> None:
    rows: list[dict[str, Any]] = [
        {"size": [8, np.int64(8)]}, {"shape": (None, 3, 3)}, {"shape": ()}, {"things": range(3)},
        {"things": ["ab"]}, {"progress": Silent()}, {"table": {"a": 1}}, {"place": "\u202enot there\n"},
    ]  # fmt: skip
    assert all(placed(**row) for row in rows)


@pytest.mark.parametrize("path", ["n" * 300, "a\x00b", "\ud800", Path("x/" * 3000)])
def test_a_path_that_cannot_be_is_refused_in_words(path: Path | str) -> None:
    with pytest.raises(UsageError, match=r"^place is .* and nothing can be there: .* Give another path"):
        placed(place=path)


class Unseen:
    """What cannot be shown."""

    def __repr__(self) -> str:
        raise RecursionError


def test_what_cannot_be_shown_is_told_by_its_type() -> None:
    endless: list[object] = []
    for _ in range(5000):
        endless = [endless]
    for thing, name in ((Unseen(), "Unseen"), (endless, "list")):
        with pytest.raises(UsageError, match=f"^calls is <{name}>, of type {name}: give a whole number"):
            asked(thing)  # type: ignore[arg-type]


@pytest.mark.parametrize("read", [read_picture, read_sound, read_video])
@pytest.mark.parametrize("source", [3, None, set(), io.StringIO("a")])
def test_what_holds_no_file_is_refused_by_its_type(read: Callable[[Any], object], source: object) -> None:
    with pytest.raises(DataError, match=rf"A {type(source).__name__} is no .* Give a path"):
        read(source)


def test_fractions_and_texts_of_numpy_are_taken() -> None:
    assert type(PromptOptions(keep=Fraction(1, 2)).keep) is float  # type: ignore[arg-type]
    found = whygen.explain_prompt(
        str.upper, np.str_("a fox ran home"), target="token-set", keep=Fraction(1, 3), budget=16, cache=None,
    )  # type: ignore[arg-type] # fmt: skip
    assert len(found.units) == 4


def test_numbers_that_no_machine_holds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^calls is"):
        asked(10**5000)
    with pytest.raises(UsageError, match=r"^share is"):
        asked(1, share=10**400)


def test_every_documented_call_takes_no_unknown_argument() -> None:
    """A typo ends in words at each function that the reference names, and at what results can do."""
    page = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    names = re.findall(r"autofunction:: ([\w.]+)", page)
    functions = [resolve_name(name) for name in names if name != "whygen.models.batched"]  # a decorator
    results = (whygen.PromptExplanation, whygen.AnchorExplanation)
    methods = [getattr(kind, name) for kind in results for name in ("save", "load")]
    assert len(functions) > 8
    for function in (*functions, *methods, whygen.PromptExplanation.plot_attributions):
        with pytest.raises(UsageError, match=f"^{function.__name__} takes no argument 'zzz'"):
            function(zzz=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Picture("a.png"), lambda: Message("user", None), lambda: Template(3), lambda: Chat(["a"]),
        lambda: ModelOptions(device=0), lambda: Budget(calls=True), lambda: Rates(requests_per_minute="6"),
        lambda: RunOptions(spending=3), lambda: Picture(self=1), lambda: Settings(stop=(1,)),
    ],
)  # fmt: skip
def test_small_types_refuse_fields_of_the_wrong_kind_when_they_are_made(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        make()
