"""A cheap model beside the dear one: what it may change, what it may not, and what is refused."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whygen
from whygen import lab
from whygen.cli import main
from whygen.errors import ModelError, UsageError
from whygen.media.pictures import picture_of
from whygen.prompt.surrogates import Powered
from whygen.results.prompt import PromptExplanation
from whygen.types import Chat, Limits, Message, Output, Request

PROMPT = "seven green frogs sing old songs while the quick brown fox jumps over a lazy dog near der große Fluß"
WORDS = PROMPT.split()
SIZES = dict(zip(WORDS, np.random.default_rng(7).normal(size=len(WORDS)).tolist(), strict=True))


def rough(text: str) -> float:
    """A number in -1 to 1 that nothing learns: a hash of the text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**31 - 1.0


def dear(prompt: str) -> str:
    return f"{sum(SIZES.get(word, 0.0) for word in prompt.split()) + 3.0 * rough(prompt):.6f}"


def sibling(prompt: str) -> str:
    """Like the dear one, at another scale, and wrong about the fox."""
    return f"{0.5 * float(dear(prompt)) - 2.0 * ('fox' in prompt.split()) + 7.0:.6f}"


def stranger(prompt: str) -> str:
    return f"{3.0 * rough('other' + prompt):.6f}"


def constant(prompt: str) -> str:
    del prompt
    return "5"


class Counted:
    """Counts what it is asked."""

    def __init__(self, says: Callable[[str], str]) -> None:
        self.says, self.asked = says, 0

    def __call__(self, prompt: str) -> str:
        self.asked += 1
        return self.says(prompt)


def score(output: str) -> float:
    return float(output)


def explained(model: object = dear, prompt: str | Chat = PROMPT, **choices: Any) -> PromptExplanation:
    return whygen.explain_prompt(
        model, prompt, **{"target": score, "budget": 70, "cache": None, "surrogate": "ridge", **choices}
    )


def widths(explanation: PromptExplanation) -> np.ndarray:
    return np.array([unit.high - unit.low for unit in explanation.units])  # type: ignore[operator]


def holds(explanation: PromptExplanation) -> float:
    return float(np.mean([unit.low <= SIZES[unit.text] <= unit.high for unit in explanation.units]))  # type: ignore[operator]


def ended(line: list[str]) -> object:
    with pytest.raises(SystemExit) as found:
        main(line)
    return found.value.code


def test_a_sibling_narrows_the_intervals_and_does_not_move_them_to_what_it_says() -> None:
    alone, both = explained(), explained(proxy=sibling, proxy_budget=600)
    assert widths(both).mean() < 0.5 * widths(alone).mean()
    assert holds(both) >= 0.85
    fox = both["fox"]
    assert fox.low <= SIZES["fox"] <= fox.high  # the sibling is off by -2 there, and -4 at its weight
    assert both.proxy is not None
    assert both.proxy.calls == pytest.approx(600 + 64, abs=10)
    assert both.proxy.correlation > 0.7
    assert both.proxy.weight == pytest.approx(2.0, abs=0.3)
    assert both.proxy.width == pytest.approx(widths(both).mean() / widths(alone).mean(), rel=1e-6)
    assert both.calls == alone.calls  # those of the proxy are none of the model's


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
def test_a_stranger_never_makes_intervals_wider(estimand: str) -> None:
    left_out = 0
    for seed in range(6):
        how = {"seed": seed, "estimand": estimand}
        alone, both = explained(**how), explained(**how, proxy=stranger, proxy_budget=256)
        assert both.proxy is not None
        assert widths(both).mean() <= widths(alone).mean() * (1 + 1e-9)
        assert both.proxy.width == pytest.approx(widths(both).mean() / widths(alone).mean(), rel=1e-6)
        if both.proxy.weight == 0.0:
            left_out += 1
            assert both.units == alone.units
    assert left_out


def test_where_a_proxy_is_left_out_the_share_of_pictures_is_that_without_it() -> None:
    """Both are fitted alike: the limits of a sum are those of the attributions that it sums."""
    shown = tuple(picture_of(np.full((8, 8, 3), level, dtype=np.uint8)) for level in (10, 90, 120))
    chat = Chat((Message("user", " ".join(WORDS[:9]), shown),))

    def weighing(share: float, name: str) -> Callable[[Request], Output]:
        def weigh(request: Request) -> Output:
            assert isinstance(request.prompt, Chat)
            [message] = request.prompt.messages
            what = f"{message.text} {[hashlib.sha256(image.data or b'').hexdigest() for image in message.images]}"
            size = 2.0 * len(message.images) + len(message.text.split())
            return Output(text=f"{share * size + 3.0 * rough(name + what):.6f}")

        return weigh

    left_out = 0
    for seed in range(4):
        how = {"seed": seed, "estimand": "shapley", "units": "image", "target": score, "budget": 60}
        model, other = weighing(1.0, "dear"), weighing(0.0, "other")
        alone, both = (explained(model, chat, **how, **beside) for beside in ({}, {"proxy": other}))
        assert both.proxy is not None
        if both.proxy.weight == 0.0:
            left_out += 1
            assert both.picture_share == alone.picture_share is not None
    assert left_out


def test_the_doubt_of_several_references_is_in_both_widths() -> None:
    """A model that says other words each time: what references add is no work of the proxy."""

    def longer(prompt: str) -> str:
        return " ".join(word for word in prompt.split() if len(word) > 4)

    def telling() -> Callable[[str], str]:
        asked = Counter[str]()

        def tell(prompt: str) -> str:
            asked[prompt] += 1
            size = rough(f"{prompt} {asked[prompt]}")
            words = " ".join(word for word in prompt.split() if len(word) > 3)
            return f"{words} {'yes' if size > 0 else 'no'} {size:.1f}"

        return tell

    how = {"target": "tfidf", "references": 3}
    alone, both = explained(telling(), **how), explained(telling(), **how, proxy=longer, proxy_budget=128)
    assert both.proxy is not None
    assert "over 3 references" in both.interval.method
    assert both.proxy.width == pytest.approx(widths(both).mean() / widths(alone).mean(), rel=1e-6)
    assert both.proxy.width <= 1.0


def test_the_model_as_its_own_proxy_leaves_the_doubt_of_the_masks_that_it_was_not_asked() -> None:
    own = explained(proxy=dear, proxy_budget=600)
    assert own.proxy is not None
    assert own.proxy.correlation == pytest.approx(1.0)
    # 300 pairs instead of 34: a third of the width, as far as the rough part decides.
    assert own.proxy.width == pytest.approx(np.sqrt(34 / 300), rel=0.35)
    assert holds(own) >= 0.85


def test_shapley_values_with_a_proxy_share_out_what_the_model_does() -> None:
    both = explained(estimand="shapley", proxy=sibling, proxy_budget=600)
    total = float(dear(PROMPT)) - float(dear(""))
    assert sum(unit.attribution for unit in both.units) == pytest.approx(total, abs=1e-6)
    assert both.proxy.width < 0.7  # type: ignore[union-attr]


@pytest.mark.parametrize("says", [constant, sibling], ids=["constant", "enumerated"])
def test_where_a_proxy_has_no_part_the_explanation_is_that_without_it(says: Callable[[str], str]) -> None:
    proxy = Counted(says)
    prompt = PROMPT if says is constant else "green frogs sing"
    alone, both = explained(prompt=prompt), explained(prompt=prompt, proxy=proxy, proxy_budget=64)
    assert both.units == alone.units
    assert both.proxy is None
    assert "proxy-unused" in {one.code for one in both.warnings}
    assert (proxy.asked > 0) == (says is constant)


def test_a_saved_explanation_is_read_with_its_proxy_and_another_target_without(tmp_path: Path) -> None:
    both = explained(proxy=sibling, proxy_budget=256)
    loaded = PromptExplanation.load(both.save(tmp_path))
    assert loaded == both
    again = loaded.read()
    assert (again.units, again.proxy) == (both.units, both.proxy)
    other = loaded.read(target="tfidf")
    assert other.proxy is None
    assert other.units == explained(target="tfidf").units
    found = whygen.evaluate(loaded)
    assert found.measure("r2_heldout").value == pytest.approx(both.fidelity.r2_heldout)


def test_a_damaged_proxy_is_named(tmp_path: Path) -> None:
    from dataclasses import replace

    both = explained(proxy=sibling, proxy_budget=64, estimand="shapley")
    assert both.evidence is not None
    proxy = both.evidence.proxy
    assert proxy is not None
    assert proxy.sizes is not None
    unknown = np.where(np.arange(len(WORDS)) == 3, np.nan, 1.0)
    for name, value in (
        ("standard", proxy.standard[:3]), ("standard", unknown), ("attributions", unknown), ("apart", proxy.apart[:-1]),
        ("apart_effects", proxy.apart_effects * np.inf), ("sizes", proxy.sizes[:-1]), ("kept", np.ones(3)),
        ("keep", float("nan")), ("total", float("nan")), ("effects", proxy.effects.astype(np.int64)),
        ("effects", None),
    ):  # fmt: skip
        broken = both.model_copy(update={"evidence": replace(both.evidence, proxy=replace(proxy, **{name: value}))})
        with pytest.raises(whygen.errors.FormatError, match="what the proxy did"):
            PromptExplanation.load(broken.save(tmp_path))


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"estimand": "local"}, "local"),
        ({"estimand": "loo"}, "loo"),
        ({"distribution": "energy", "draws": 4, "references": 4, "target": "tfidf"}, "energy"),
        ({"irrelevant": "exclude", "target": "tfidf"}, "exclude"),
        ({"proxy_budget": 5}, "proxy_budget=5"),
        ({"hierarchy": "auto", "target": "tfidf"}, "proxy"),
        ({"inputs": ["a", "b"], "target": "tfidf"}, "proxy"),
    ],
    ids=lambda given: str(given) if isinstance(given, str) else "",
)
def test_what_a_proxy_cannot_help_with_is_refused_before_anything_is_asked(choices: dict[str, Any], named: str) -> None:
    model = Counted(dear)
    with pytest.raises(UsageError, match=named):
        explained(model, proxy=sibling, **choices)
    assert model.asked == 0


@pytest.mark.parametrize(
    ("proxy", "named"),
    [("nonsense", "proxy cannot be opened: .*no provider"), ("py/nowhere:f", "proxy cannot be opened: .*nowhere"),
     (3, "proxy cannot be opened"), (None, "proxy_budget=80 goes with proxy")],
    ids=str,
)  # fmt: skip
def test_a_proxy_that_cannot_be_opened_is_said_before_anything_is_asked(proxy: object, named: str) -> None:
    model = Counted(dear)
    with pytest.raises((UsageError, whygen.errors.MissingError), match=named):
        explained(model, proxy=proxy, proxy_budget=80)
    assert model.asked == 0


def test_a_proxy_that_cannot_be_told_from_the_model_is_refused() -> None:
    """Answers are kept by what a model says it is: the model would be given what the proxy said."""

    class Object:
        uri, limits = "py/object", Limits()

        def answer(self, requests: Sequence[Request]) -> list[Output]:
            return [Output(text="1") for _ in requests]

    with pytest.raises(UsageError, match=r"both are py/object.*two URIs"):
        whygen.explain_prompt(Object(), PROMPT, target=float, budget=40, cache=None, proxy=Object())


def test_a_proxy_that_fails_ends_the_run_before_the_masks_of_the_model_are_paid_for() -> None:
    def broken(prompt: str) -> str:
        raise RuntimeError("no memory left")

    model = Counted(dear)
    with pytest.raises(ModelError, match="no memory left"):
        explained(model, proxy=broken)
    assert model.asked <= 3


def test_the_forecast_counts_the_proxy_apart() -> None:
    alone = whygen.forecast(dear, PROMPT, target=score, budget=70)
    both = whygen.forecast(dear, PROMPT, target=score, budget=70, proxy=sibling, proxy_budget=500)
    assert (both.calls, alone.proxy_calls) == (alone.calls, 0)
    assert 500 < both.proxy_calls <= 570


def test_the_command_line_takes_a_proxy_and_the_page_says_what_it_was_good_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "cheap_and_dear.py"
    module.write_text(
        "def dear(prompt): return 'a story of ' + ' '.join(w for w in prompt.split() if len(w) > 3)\n"
        "def cheap(prompt): return 'story ' + ' '.join(w for w in prompt.split() if len(w) > 4)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    line = [
        "prompt", "py/cheap_and_dear:dear", PROMPT, "--target", "tfidf", "--budget", "64", "--no-cache",
        "--proxy", "py/cheap_and_dear:cheap", "--proxy-budget", "128",
    ]  # fmt: skip
    assert ended([*line, "--dry-run"]) == 0
    assert "The proxy is asked up to" in capsys.readouterr().out
    assert ended([*line, "-q", "-o", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "py/cheap_and_dear:cheap" in page
    assert "times as wide as without it" in page


def test_a_surrogate_with_a_proxy_adds_up() -> None:
    """Its attributions are the proxy's at their weight and those of the rest; its predictions likewise."""
    rng = np.random.default_rng(0)
    game, n = lab.Game(12, "pairwise", rng), 12
    seen, apart = (lab.draw(n, calls, rng) for calls in (64, 256))
    beside = lab.proxied(
        apart.observed(2.0 * game.values(apart.masks) + 1.0), seen.masks, 2.0 * game.values(seen.masks) + 1.0, rng,
        surrogate="ridge",
    )  # fmt: skip
    fitted = beside.fit(seen.observed(game.values(seen.masks)))
    assert isinstance(fitted, Powered)
    assert fitted.weight == pytest.approx(0.5, abs=0.1)
    rest = sum(share * part.attributions() for share, part in fitted.parts)
    np.testing.assert_allclose(fitted.attributions(), fitted.weight * fitted.proxy.attributions + rest)
    np.testing.assert_allclose(fitted.predict(seen.masks), game.values(seen.masks), atol=0.5)


@pytest.mark.parametrize(("rho", "widest"), [(0.0, 1.02), (0.9, 0.6)])
def test_intervals_hold_with_a_proxy_of_any_quality(rho: float, widest: float) -> None:
    """60 games of 12 units, 64 calls: additive and rough by halves. 720 intervals, of which 95% should hold."""
    rng = np.random.default_rng(5)
    n, hits, ratios = 12, [], []
    every = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)
    code = 1 << np.arange(n)
    for _ in range(60):
        tables = [(every - 0.5) @ rng.normal(size=n) * 2.0 / np.sqrt(n) + rng.normal(size=2**n) for _ in range(2)]
        f, g = tables[0], rho * tables[0] + np.sqrt(1.0 - rho**2) * tables[1]
        truth = ((2.0 * every - 1.0) * f[:, None]).mean(axis=0) * 2.0
        seen, apart = lab.draw(n, 64, rng), lab.draw(n, 1024, rng)
        beside = lab.proxied(
            apart.observed(g[apart.masks @ code]), seen.masks, g[seen.masks @ code], rng, surrogate="ridge"
        )
        shown = seen.observed(f[seen.masks @ code])
        alone, both = (lab.estimate(shown, rng, surrogate=by).interval for by in ("ridge", beside))
        assert alone is not None
        assert both is not None
        hits.append((both.low <= truth) & (truth <= both.high))
        ratios.append((both.high - both.low).mean() / (alone.high - alone.low).mean())
    assert 0.92 <= np.mean(hits) <= 0.98
    assert np.mean(ratios) <= widest
