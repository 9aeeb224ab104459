"""Text that hides or commands is shown for what it is; numbers are written the same everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example_explanations import prompt_explanation
from whygen.report import colours
from whygen.report.svg import Axis, axis_over
from whygen.report.texts import (
    clip,
    counted,
    decimals_for,
    listed,
    number,
    p_value,
    percent,
    quoted,
    shorten,
    signed,
    visible,
)
from whygen.results.prompt import Fidelity, Noise
from whygen.results.summary import words


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred", "⟨U+001B⟩[31mred"),
        ("a\x00b\x7f", "a⟨U+0000⟩b⟨U+007F⟩"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("\ud800", "⟨U+D800⟩"),
        ("\u200bzero\ufeff", "⟨U+200B⟩zero⟨U+FEFF⟩"),
        ("\x85", "⟨U+0085⟩"),
        ("line\n\ttab", "line\n\ttab"),
        ("👩\u200d🚀 עברית", "👩\u200d🚀 עברית"),
        ("\U000e0041", "⟨U+E0041⟩"),
    ],
)
def test_hidden_characters_are_shown(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(st.text(alphabet=st.characters(), max_size=60))
def test_what_is_shown_can_be_written_and_is_stable(text: str) -> None:
    seen = visible(text)
    seen.encode()
    assert visible(seen) == seen
    assert not any(ord(c) < 32 and c not in "\n\t" for c in seen)


def test_numbers() -> None:
    assert [number(x, 2) for x in (1234.5, -0.001, -0.5, None, float("nan"))] == ["1,234.50", "0.00", "−0.50", "–", "–"]
    assert [signed(x, 2) for x in (0.5, -0.5, 0.0, None)] == ["+0.50", "−0.50", "0.00", "–"]
    assert [decimals_for(x) for x in (0.2, 12.0, 0.0021, 4_000.0, 0.0, float("nan"))] == [3, 1, 5, 0, 3, 3]
    assert [p_value(p) for p in (0.0001, 0.04, None)] == ["<0.001", "0.040", "–"]
    assert percent(-0.1) == "−10%"
    shares = (0.0, 0.0004, 0.002, 0.994, 0.9991, 0.99994, 1.0 - 1e-12, 1.0, -0.0004)
    shown = ["0%", "<0.1%", "0.2%", "99%", "99.9%", ">99.9%", "100%", "100%", "0%"]
    assert [percent(share) for share in shares] == shown  # nothing is all, or none, that is not


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e-7, 1.0, 3e7])
def test_an_interval_with_a_width_is_never_written_as_one_without(scale: float) -> None:
    places = decimals_for(5.4 * scale)
    low, high = signed(4.6 * scale, places), signed(5.4 * scale, places)
    assert low != high
    assert float(low.replace(",", "")) == pytest.approx(4.6 * scale, rel=0.01)
    assert signed(0.0, places).strip("0.") == ""


def test_phrases() -> None:
    assert [listed(x) for x in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert [counted(n, "call") for n in (1, 2_000)] == ["1 call", "2,000 calls"]
    assert clip("abcdef", 4) == ("abcd", 2)
    assert shorten("a\n b\x1b", 13) == "a b⟨U+001B⟩"
    assert quoted("x" * 50, 5) == "“xxxx…”"
    assert shorten("  ") == "(blank)"


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.integers(1, 12))
def test_ticks_are_inside_and_few(one: float, other: float, about: int) -> None:
    axis = axis_over([one, other, None, float("nan")])
    assert axis.low < axis.high
    ticks = axis.ticks(about)
    slack = 1e-6 * (axis.high - axis.low)
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in ticks)
    assert len(ticks) <= 2 * about + 2


def test_an_axis_of_nothing_is_an_axis() -> None:
    assert axis_over([]).share(0.5) == pytest.approx(0.5)
    assert Axis(0.0, 1.0).share(7.0) == 1.0


@pytest.mark.parametrize("theme", [colours.LIGHT, colours.DARK])
def test_text_is_readable_on_every_colour(theme: colours.Theme) -> None:
    for level in range(colours.LEVELS + 1):
        for sign in ("pos", "neg"):
            assert colours.contrast(theme.ink, colours.step(theme, sign, level)) >= 4.5
    for ground in (theme.card, theme.page):
        for ink in (theme.ink, theme.soft, theme.faint, theme.pos, theme.neg):
            assert colours.contrast(ink, ground) >= 4.5, (ink, ground)
    assert colours.contrast(theme.warn, theme.warn_fill) >= 4.5


def test_levels() -> None:
    assert colours.level_of(0.0, 1.0) == 0
    assert colours.level_of(1.0, 0.0) == 0
    assert colours.level_of(1e-17, 1.0) == 0
    assert colours.level_of(-1.0, 1.0) == colours.LEVELS
    assert colours.level_of(1.0, 1.0, most=colours.FAINT) == colours.FAINT
    assert [colours.sign_of(x) for x in (1.0, -1.0, 0.0)] == ["pos", "neg", "zero"]


@pytest.mark.parametrize(
    ("heldout", "ceiling", "said"),
    [
        (None, None, "was not tested"),
        (-0.2, 0.9, "no better than their mean. Do not rely on it"),
        (0.5, None, "predicts 50% of the variation. What noise would allow is not known"),
        (0.5, 1.0, "repeats did not differ"),
        (0.4, 0.8, "40% of the variation: 50% of what the model's own noise allows"),
        (0.4, -0.1, "that is noise"),
    ],
)
def test_fidelity_in_words(heldout: float | None, ceiling: float | None, said: str) -> None:
    figures = Fidelity(r2_heldout=heldout, r2_insample=None, r2_chance=None, noise_ceiling=ceiling)
    assert said in words.prediction(figures)
    assert words.fitted(figures) == ""


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (Noise(repeats=3, level=0.0, differs=False), "gave no other output"),
        (Noise(repeats=0, level=None, differs=False), "was not repeated"),
        (Noise(repeats=2, level=None, differs=True), "other values"),
        (Noise(repeats=2, level=0.25, differs=True), "0.250 from the reference on average; with words taken away"),
    ],
)
def test_noise_in_words(noise: Noise, said: str) -> None:
    assert said in words.noise(prompt_explanation(pairs=12, noise=noise), 0.5)


def test_the_headline_names_who_drove_it() -> None:
    explanation = prompt_explanation()
    assert words.drivers(explanation).startswith("“fox”, “harbour”, “lantern”")
    assert words.drivers(explanation).endswith("drove this output; “dragon” pulls away from it.")
    away = [u.model_copy(update={"significant": u.attribution < 0 and u.significant}) for u in explanation.units]
    assert words.drivers(explanation.model_copy(update={"units": away})) == "“dragon” pulls away from this output."
    second = explanation.units[7].model_copy(update={"significant": True, "attribution": 0.3})
    units = (*explanation.units[:7], second, *explanation.units[8:])
    assert words.drivers(explanation.model_copy(update={"units": units})).startswith("“a” (number 8), “fox”")
    long = "a sentence that begins like another one and "
    same = [unit.model_copy(update={"text": f"{long}{unit.text}{unit.start}"}) for unit in units]
    assert " (number 8), " in words.drivers(explanation.model_copy(update={"units": same}))
    quiet = tuple(unit.model_copy(update={"significant": False}) for unit in explanation.units)
    assert words.drivers(explanation.model_copy(update={"units": quiet})) == "No word of this prompt stands out."


def test_the_headline_does_not_call_what_is_next_to_nothing_a_driver() -> None:
    explanation = prompt_explanation()
    largest = max(abs(unit.attribution) for unit in explanation.units)
    sizes = [largest, *[0.009 * largest] * (len(explanation.units) - 1)]
    units = tuple(
        unit.model_copy(update={"attribution": size, "low": None, "high": None, "significant": True})
        for unit, size in zip(explanation.units, sizes, strict=True)
    )
    said = words.drivers(explanation.model_copy(update={"units": units}))
    first, rest = said.split(". ")
    assert first == f"“{units[0].text}” drove this output"
    assert rest == f"{len(units) - 1} other words have an effect beyond doubt, under 1% of the largest."
