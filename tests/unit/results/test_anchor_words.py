"""What an explanation of anchors may say, and that explanations of schema 1 stay readable."""

# pyright: basic
import pytest

from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_scores import (
    ComesBackRecord,
    ControlRecord,
    FoilRecord,
    PowerRecord,
    ShareRecord,
    TailsRecord,
)  # fmt: skip
from whygen.results.anchors_words import earned, headline, meanings
from whygen.results.summary.anchors import summarise_anchors

OLD = {
    "schema": 1, "whygen": "0.1.0", "preset": None, "model": "m", "n_anchors": 100,
    "criteria": [
        {"name": "kld", "kind": "intrinsic", "unit": "nats"}, {"name": "sse", "kind": "extrinsic", "unit": "squares"},
    ],
    "calibration": {"kind": "conformal", "n": 79, "role": "held-out", "alpha": 0.025, "level": "per-criterion"},
    "thresholds": {"kld": 1.0, "sse": 1.0},
    "groups": {
        name: {"count": 25, "share": 0.25, "low": 0.2, "high": 0.3} for name in ("HIHE", "HILE", "LIHE", "LILE")
    },
    "mean_flip_rate": 0.1, "selected": {}, "seed": 0, "versions": {}, "warnings": [],
}  # fmt: skip


def share(value: float) -> ShareRecord:
    return ShareRecord(share=value, low=value - 0.02, high=value + 0.02)


def explained(*, copy: float, tells: bool = True, foil: float = 0.0, below: float = 0.0, back: int = 20):
    copied = {"HIHE": share(0.4)}
    controls = (ControlRecord(name="untrained", what="w", n=9, groups=copied, comes_back=share(copy)),)
    power = tuple(
        PowerRecord(criterion=name, foil=kind, auroc=0.9, low=0.8, high=0.95, size_auroc=0.6, tells=tells)
        for name in ("kld", "sse")
        for kind in ("shuffled", "noise")
    )
    found = AnchorExplanation.model_validate(OLD)
    counts = {**found.groups, "BELOW": found.groups["HIHE"].model_copy(update={"share": below, "low": below - 0.02})}
    return found.model_copy(
        update={
            "groups": counts,
            "controls": controls,
            "power": power,
            "foils": (FoilRecord(name="shuffled", what="shuffled copies", n=9, alike=share(foil)),),
            "tails": TailsRecord(low=0.025, high=0.025, floors={}, least_alike=0.9),
            "comes_back": ComesBackRecord(
                count=back, share=0.2, low=0.15, high=0.25, others=19, than="others", groups={"HIHE": back}
            ),
        }
    )


def test_an_explanation_of_schema_1_is_read_and_shown() -> None:
    old = AnchorExplanation.model_validate(OLD)
    assert "25.0% of 100 anchors look to this model like your reference samples" in headline(old)
    assert "nothing was run beside it to compare" in headline(old)
    assert [group["name"] for group in summarise_anchors(old)["groups"]] == ["HIHE", "HILE", "LIHE", "LILE"]
    assert "knows" not in old.to_html()


def test_knowledge_is_claimed_only_where_the_untrained_copy_does_not_do_the_same() -> None:
    assert earned(explained(copy=0.05))
    assert "It knows and reproduces 20.0%" in headline(explained(copy=0.05))
    assert "known and reproduced" in meanings(explained(copy=0.05))["HIHE"]
    back = explained(copy=0.05)  # by what comes back alone nothing says how familiar an anchor is
    alone = back.model_copy(update={"criteria": back.criteria[1:], "power": back.power[2:]})
    beside = alone.controls[0].model_copy(update={"groups": {"HIGH": share(0.4)}})
    groups = {"HIGH": alone.groups["HIHE"], "LOW": alone.groups["LILE"]}
    assert " It reproduces 20.0%" in headline(alone.model_copy(update={"groups": groups, "controls": (beside,)}))
    for found in (explained(copy=0.2), explained(copy=0.05, tells=False)):
        assert not earned(found)
        assert "knows and reproduces" not in headline(found)
        assert "known" not in meanings(found)["HIHE"]


def test_the_json_of_anchors_holds_to_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = explained(copy=0.2).to_dict()
    held = jsonschema.Draft202012Validator(AnchorExplanation.model_json_schema(mode="serialization"))
    assert held.is_valid(document)
    assert held.is_valid(document | {"parts": {"details.json": "ab12"}}), "as in a saved folder"
    assert not held.is_valid(document | {"seed": "none"})


def test_foils_that_pass_and_samples_that_are_simpler_are_in_the_headline() -> None:
    # A fourth of the anchors does: what nine of ten copies do is no "and so".
    assert "like your reference samples, though 90.0% of shuffled copies do; " in headline(
        explained(copy=0.2, foil=0.9)
    )
    alike = explained(copy=0.2, foil=0.9)
    first, beside = summarise_anchors(alike)["lead"]
    assert first.endswith("like your reference samples.")
    assert beside.startswith("But 90.0% of shuffled copies do. An untrained copy says"), "on a page it stands by itself"
    most = {**alike.groups, "HIHE": alike.groups["HIHE"].model_copy(update={"share": 0.95})}
    many = alike.model_copy(update={"groups": most})
    assert "and so do 90.0% of shuffled copies" in headline(many)
    assert summarise_anchors(many)["lead"][1].startswith("So do 90.0% of shuffled copies. ")
    assert "and so do" not in headline(explained(copy=0.2, foil=0.4))
    assert headline(explained(copy=0.2, below=0.6)).startswith("60.0% of 125 anchors are simpler")
    assert "None of them comes back" in headline(explained(copy=0.0, back=0))
    blind = headline(explained(copy=0.2, tells=False))
    assert blind == (
        "The shares of this run say nothing of the model: neither of kld and sse tells your reference samples from "
        "shuffled copies."
    )


def test_shares_of_labels_are_said_apart_and_of_the_copy_too() -> None:
    found = explained(copy=0.2)
    others = FoilRecord(name="other labels", what="anchors of other labels", n=100, alike=share(0.06))
    copy = found.controls[0].model_copy(update={"own_labels": share(0.6), "other_labels": share(0.5)})
    found = found.model_copy(update={"foils": (others,), "controls": (copy,)})
    # Of 125 anchors 25 are HIHE, 6 of them of the 100 with other labels: 19 of the 25 with labels of the reference.
    assert (
        ": 76.0% of the anchors whose label these have, and 6.0% of the others; an untrained copy says 40.0% "
        "(60.0% and 50.0%)"
    ) in headline(found)
    zeros = found.model_copy(update={"foils": (others.model_copy(update={"reference_labels": (0,)}),)})
    assert ": 76.0% of the anchors labelled 0, and 6.0% of the others" in headline(zeros)
    mostly = found.groups["BELOW"].model_copy(update={"share": 0.6, "low": 0.5})
    below = found.model_copy(update={"groups": {**found.groups, "BELOW": mostly}})
    assert "(60.0% and 50.0%)" not in headline(below)  # the model's own shares by label are not said there
    passing = found.model_copy(update={"foils": (others.model_copy(update={"alike": share(0.9)}),)})
    assert "of the anchors" not in headline(passing)
    assert "though 90.0% of anchors of other labels do" in headline(passing)


def test_how_many_of_those_that_look_alike_come_back_is_counted() -> None:
    assert " 20 of these 25 also come back" in headline(explained(copy=0.2))
    assert " All 25 also come back" in headline(explained(copy=0.2, back=25))


@pytest.mark.parametrize("preset", ["pxgen", "pxgen-saturated"])
def test_the_papers_words_are_said_to_be_the_papers(preset: str) -> None:
    found = AnchorExplanation.model_validate({**OLD, "preset": preset})
    assert "in its words known and reproduced" in headline(found)
    assert meanings(found)["HILE"] == "in the paper's words: model delusion"
