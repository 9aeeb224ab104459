"""Texts that a language model was made to know by heart: found by which contrast, at what false rate?

    python -m benchmarks memorised_texts

Each seed fine-tunes the storyteller (`training.storyteller.planted`) on canaries and stories seen 20 and 5 times among
others seen once, and asks which of these and of never-seen ones it knows by heart. Controls: the storyteller before it
was fine-tuned, which must find nothing; a peer as baseline, fine-tuned on as many other texts of these kinds; the
compressed size and the length of a text; and the level alone (nats a token), which is what no verdict here rests on.
``python -m benchmarks.memorised_texts SEED`` measures one seed, ``... peer SEED`` of it the peer as baseline alone.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from training.storyteller.planted import MAKERS, Family, families, fine_tune, training_texts

from benchmarks import record
from whygen.anchors.texts.contrasts import Contrast, by_baseline, by_reference, by_twins, by_twins_of_both, called
from whygen.anchors.texts.loading import TextAnchor
from whygen.anchors.texts.measured import TextSide
from whygen.anchors.texts.preparing import prepare
from whygen.anchors.texts.scoring import TextsAsked, score_texts
from whygen.calls import Store, make_runner
from whygen.demo.provider import storyteller_path
from whygen.models import ModelOptions
from whygen.models.hf import open_hf
from whygen.models.hf.model import HfModel
from whygen.stats.auroc import auroc
from whygen.stats.knockoffs import conformal_share, standing_share
from whygen.stats.seeds import generator

NAME = "memorised_texts"
SEEDS = (0, 1)
PLANTED, NEW, HELD = 30, 60, 200
EXPOSURES = (20, 5)
FDR = 0.05
SHARES = (0.0, 0.25, 0.5, 1.0)
REPEATS, DRAWN = 60, 30
RATE, BATCH = 4e-3, 4
Floats = NDArray[np.float64]


def parts(kind: str, seed: int) -> dict[str, list[Family]]:
    """Families of a kind by what the model has seen of them."""
    seen = {f"{times} times": families(kind, PLANTED, seed, part=f"seen {times}") for times in EXPOSURES}
    once = families(kind, PLANTED, seed, part="once")
    return {
        **seen,
        "once": once,
        "never": families(kind, NEW, seed, part="new"),
        "held": families(kind, HELD, seed, part="held"),
    }


def trained(seed: int, which: str = "seen") -> HfModel:
    """The storyteller after all that it is to have seen, in a random order; or after as much of others ("peer")."""
    texts: list[str] = []
    for kind in MAKERS:
        for times in EXPOSURES:
            texts += [family.text for family in families(kind, PLANTED, seed, part=f"{which} {times}")] * times
        texts += [family.text for family in families(kind, PLANTED, seed, part="once" if which == "seen" else which)]
    order = training_texts([], texts, exposures=1, rng=generator(seed, "order"))
    return fine_tune(order, seed=seed, rate=RATE, batch=BATCH)


def measured(model: HfModel, base: HfModel, found: Sequence[Family]) -> TextSide:
    """Log-probabilities of families under both models."""
    ready = prepare([TextAnchor(family.text) for family in found], model, heads=False)
    side = TextSide(
        ready=[replace(each, state="", copy_of=None) for each in ready], twins=[each.twins for each in found]
    )
    pairs, store = side.pairs(), Store(None)
    side.scores = score_texts(
        make_runner(model, store, budget=None, progress=None, options=None), pairs, TextsAsked(), heads=False, label=""
    )
    side.other = score_texts(
        make_runner(base, store, budget=None, progress=None, options=None), pairs, TextsAsked(), heads=False, label=""
    )
    return side


def ways(side: TextSide, held: TextSide) -> dict[str, Contrast | None]:
    """Every contrast of the same texts."""
    rows = np.arange(len(side.ready))
    own, other = side.per_token(rows.tolist()), side.per_token(rows.tolist(), other=True)
    theirs = held.per_token(range(len(held.ready)))
    gain = held.per_token(range(len(held.ready)), other=True) - theirs
    with_base, held_base = side.among_twins()[1], held.among_twins()[1]
    side.other, kept = None, side.other
    held.other, held_kept = None, held.other
    plain, held_plain = side.among_twins()[1], held.among_twins()[1]
    side.other, held.other = kept, held_kept
    return {
        "twins": by_twins(rows, plain, kind="twins"),
        "twins and baseline": by_twins(rows, with_base, kind="twins and baseline"),
        "twins, against the reference": by_twins_of_both(rows, plain, held_plain, kind="twins, reference"),
        "twins and baseline, against the reference": by_twins_of_both(
            rows, with_base, held_base, kind="both, reference"
        ),
        "baseline, against the reference": by_reference(rows, other - own, gain, kind="baseline, reference"),
        "baseline": by_baseline(rows, own, other),
        "reference": by_reference(rows, -own, -theirs, kind="reference"),
    }  # fmt: skip


def recall_at(planted: Floats, new: Floats, false: float = 0.05) -> float:
    """Share of the planted above all but that share of the new."""
    return float((planted > np.quantile(new, 1 - false, method="higher")).mean())


def row(way: str, found: Contrast | None, n: int) -> dict[str, object]:
    """Of n planted texts and the new ones after them."""
    if found is None:
        return {"way": way} | dict.fromkeys(("area", "low", "high", "recall at 5%", "called", "false"))
    told = called(found, level=FDR)
    planted, new = found.strength[:n], found.strength[n:]
    area, low, high = auroc(new, planted)
    false = float(told[n:].sum() / max(1, told.sum()))
    return {
        "way": way, "area": area, "low": low, "high": high, "recall at 5%": recall_at(planted, new),
        "called": float(told[:n].mean()), "false": false,
    }  # fmt: skip


def controls(side: TextSide, n: int) -> list[dict[str, object]]:
    """What needs no model, and the level of a text: none of these is a contrast."""
    texts = [each.text for each in side.ready]
    values = {
        "size under zlib": -np.array([len(zlib.compress(text.encode(), 9)) for text in texts], dtype=float),
        "length": -np.array([len(text) for text in texts], dtype=float),
        "level: nats a token": -side.per_token(range(len(texts))),
    }
    rows: list[dict[str, object]] = []
    for way, value in values.items():
        area, low, high = auroc(value[n:], value[:n])
        recall = recall_at(value[:n], value[n:])
        rows.append({
            "way": way, "area": area, "low": low, "high": high, "recall at 5%": recall, "called": None, "false": None,
        })  # fmt: skip
    return rows


def shares(planted: TextSide, new: TextSide, held: TextSide, seed: int) -> list[dict[str, object]]:
    """How often the interval of the share holds the truth, for texts drawn again and again from what was scored."""
    rows: list[dict[str, object]] = []
    tables = [replace(side, other=None).among_twins()[1] for side in (planted, new, held)]
    for share in SHARES:
        rng, hits, widths, errors = generator(seed, "shares", str(share)), np.zeros(2), np.zeros(2), np.zeros(2)
        for _ in range(REPEATS):
            many = round(share * DRAWN)
            table = np.vstack([
                tables[0][rng.permutation(len(tables[0]))[:many]],
                tables[1][rng.permutation(len(tables[1]))[: DRAWN - many]],
            ])  # fmt: skip
            p = by_twins_of_both(np.arange(DRAWN), table, tables[2], kind="").p
            found = [standing_share(table), conformal_share(p, reference=len(tables[2]))]
            hits += [each.low <= many / DRAWN <= each.high for each in found]
            widths += [each.high - each.low for each in found]
            errors += [each.estimate - many / DRAWN for each in found]
        for place, way in enumerate(("twins", "twins, against the reference")):
            rows.append(
                {
                    "way": way,
                    "share": share,
                    "within": hits[place] / REPEATS,
                    "width": widths[place] / REPEATS,
                    "bias": errors[place] / REPEATS,
                }
            )
    return rows


def one(seed: int) -> Mapping[str, list[dict[str, object]]]:
    """All figures of a seed."""
    torch.set_num_threads(1)
    base = open_hf(str(storyteller_path()), ModelOptions(device="cpu"))
    model = trained(seed)
    every = {kind: parts(kind, seed) for kind in MAKERS}
    sides = {kind: {part: measured(model, base, each) for part, each in found.items()} for kind, found in every.items()}
    sides["both"] = {part: joined(*(half(each[part]) for each in sides.values())) for part in sides["stories"]}
    found: list[dict[str, object]] = []
    kept: list[dict[str, object]] = []
    for kind, each in sides.items():
        for seen in ("20 times", "5 times", "once"):
            texts = joined(each[seen], each["never"])
            rows = [row(way, contrast, PLANTED) for way, contrast in ways(texts, each["held"]).items()]
            rows += controls(texts, PLANTED) if seen == "20 times" else []
            found += [{"seed": seed, "model": "fine-tuned", "texts": kind, "seen": seen, **made} for made in rows]
        untouched, held = (swapped(side) for side in (joined(each["20 times"], each["never"]), each["held"]))
        rows = [row(way, contrast, PLANTED) for way, contrast in ways(untouched, held).items() if "baseline" not in way]
        found += [{"seed": seed, "model": "before", "texts": kind, "seen": "20 times", **made} for made in rows]
        drawn = shares(each["20 times"], each["never"], each["held"], seed)
        kept += [{"seed": seed, "texts": kind, **made} for made in drawn]
    return {"rows": [*found, *beside_peer(model, every, seed)], "shares": kept}


def beside_peer(model: HfModel, every: Mapping[str, Mapping[str, list[Family]]], seed: int) -> list[dict[str, object]]:
    """The same by a baseline that was fine-tuned on as many other texts of these kinds, as often: it knows the form."""
    peer, found = trained(seed, "peer"), list[dict[str, object]]()
    for kind, each in every.items():
        held, never = (measured(model, peer, each[part]) for part in ("held", "never"))
        for seen in ("20 times", "5 times"):
            rows = ways(joined(measured(model, peer, each[seen]), never), held)
            about = {"seed": seed, "model": "fine-tuned, peer as baseline", "texts": kind, "seen": seen}
            found += [{**about, **row(way, contrast, PLANTED)} for way, contrast in rows.items() if "base" in way]
    return found


def joined(first: TextSide, second: TextSide) -> TextSide:
    """Two parts as one."""
    return TextSide(
        ready=[*first.ready, *second.ready], twins=[*first.twins, *second.twins],
        scores={**first.scores, **second.scores},
        other={**(first.other or {}), **(second.other or {})},
    )  # fmt: skip


def half(side: TextSide) -> TextSide:
    """The first half of the texts."""
    kept = len(side.ready) // 2
    return replace(side, ready=side.ready[:kept], twins=side.twins[:kept])


def swapped(side: TextSide) -> TextSide:
    """The same with the models in each other's place."""
    return replace(side, scores=side.other or {}, other=side.scores)


def keep(seed: int) -> None:
    """Measure a seed and keep it beside the others."""
    new = one(seed)
    before = record.figures(NAME)
    both = {
        name: [*(each for each in before.get(name, []) if each["seed"] != seed), *new[name]]
        for name in ("rows", "shares")
    }
    record.write(NAME, both)


def keep_peer(seed: int) -> None:
    """Measure the peer of a seed as baseline, and keep it beside what was measured before."""
    torch.set_num_threads(1)
    new = beside_peer(trained(seed), {kind: parts(kind, seed) for kind in MAKERS}, seed)
    before = record.figures(NAME)
    rows = [each for each in before["rows"] if (each["seed"], each["model"]) != (seed, new[0]["model"])]
    record.write(NAME, {**before, "rows": [*rows, *new]})


def main(data: Path | None = None) -> None:
    """Every seed, and the means over them."""
    del data
    for seed in SEEDS:
        keep(seed)
    show()


def show() -> None:
    """The means over the seeds that were kept, as tables."""
    figures = record.figures(NAME)
    print(record.table(_means(figures["rows"], ("model", "seen", "texts", "way"))))
    print()
    print(record.table(_means(figures["shares"], ("texts", "way", "share"))))


def _means(rows: Sequence[Mapping[str, object]], keys: Sequence[str]) -> list[dict[str, object]]:
    groups: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
    for each in rows:
        groups.setdefault(tuple(each[key] for key in keys), []).append(each)
    return [dict(zip(keys, names, strict=True)) | _mean(group, keys) for names, group in groups.items()]


def _mean(rows: Sequence[Mapping[str, object]], keys: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in rows[0]:
        if name not in (*keys, "seed"):
            values = [float(str(each[name])) for each in rows if each[name] is not None]
            found[name] = float(np.mean(values)) if values else None
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["show"]:
        show()
    elif sys.argv[1:2] == ["peer"]:
        for argument in sys.argv[2:]:
            keep_peer(int(argument))
    else:
        for argument in sys.argv[1:]:
            keep(int(argument))
