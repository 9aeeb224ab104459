"""What a report says of models that have learned nothing, and of data that look unlike: no more than is so.

Each case is one in which a page once said "the model knows and reproduces" (or would): the first sentence must be true.
"""

# pyright: basic
from __future__ import annotations

import numpy as np
import pytest

from small_digits import small_digits, small_vae
from whygen.anchors.explain import explain_anchors
from whygen.errors import UnknownNameError, UsageError
from whygen.models.latent import LatentModel
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_words import control, earned, headline
from whygen.stats.seeds import generator

torch = pytest.importorskip("torch")
nn = torch.nn


class TinyVae(nn.Module):
    """An autoencoder of 64 values with 8 latents; untrained unless somebody trains it."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(64, 8)
        self.back = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 64), nn.Sigmoid())

    def encode(self, x):
        mean = self.into(x)
        return mean, torch.full_like(mean, -4.0)

    def decode(self, z):
        return self.back(z)


class Constant(TinyVae):
    """A decoder that returns one picture, whatever it was given."""

    def __init__(self, picture) -> None:
        super().__init__()
        self.register_buffer("picture", torch.as_tensor(picture))

    def decode(self, z):
        return self.picture.expand(len(z), -1)


def tiny(kind=TinyVae, *arguments):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(*arguments)


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    order = generator(0, "scans").permutation(1797)
    scans = load_digits()
    return (scans.images[order] / 16).astype(np.float32).reshape(-1, 64), scans.target[order]


def said(explanation: AnchorExplanation) -> set[str]:
    return {warning.code for warning in explanation.warnings}


def claims_nothing(explanation: AnchorExplanation) -> None:
    assert not earned(explanation)
    page = explanation.to_html()
    assert "knows and reproduces" not in page
    assert "known and reproduced" not in page
    assert "confident, and wrong" not in page


def test_a_model_of_zeros_beside_all_digits(digits) -> None:
    scans, _ = digits
    found = explain_anchors(small_vae(), scans[:300].reshape(-1, 8, 8), reference=scans[300:600].reshape(-1, 8, 8))
    claims_nothing(found)
    alike, copy = found.groups["HIHE"].share, control(found, "untrained").groups["HIHE"].share
    assert alike > 0.85
    assert f"{100 * alike:.1f}% of 300 anchors look to this model like your reference samples" in headline(found)
    assert f"an untrained copy says {100 * copy:.1f}%" in headline(found)
    assert found.comes_back.share < 0.2
    assert "anchors-alike" in said(found)
    assert found.yardsticks[0].reference["HIHE"] < 0.5
    assert "calibrations-disagree" in said(found)


def test_an_untrained_model(digits) -> None:
    scans, _ = digits
    found = explain_anchors(tiny(), scans[:300], reference=scans[300:600], draws=2)
    claims_nothing(found)
    assert found.groups["HIHE"].share > 0.85
    assert found.comes_back.count == 0
    assert headline(found).startswith("The shares of this run say nothing of the model")
    assert control(found, "untrained").groups["HIHE"].share == pytest.approx(found.groups["HIHE"].share, abs=0.1)


@pytest.mark.parametrize("what", ["mean of the reference", "mean of other samples", "grey"])
def test_a_decoder_that_returns_one_picture(digits, what: str) -> None:
    scans, _ = digits
    picture = {"mean of the reference": scans[300:600].mean(axis=0), "mean of other samples": scans[900:].mean(axis=0),
               "grey": np.full(64, 0.5, np.float32)}[what]  # fmt: skip
    found = explain_anchors(tiny(Constant, picture), scans[:300], reference=scans[300:600], draws=2)
    claims_nothing(found)
    assert found.groups["HIHE"].share > 0.85
    assert found.comes_back.count == 0


def test_a_decoder_of_one_picture_and_noise(digits) -> None:
    # A decoder that returns the mean picture "beats" the mean of the reference on .57: by luck, not by looking.
    scans, _ = digits
    mean = scans[900:].mean(axis=0)

    class Noisy(Constant):
        def decode(self, z):
            noise = torch.sin(1000 * z @ torch.linspace(1, 2, 8 * 64).reshape(8, 64))
            return self.picture + 0.02 * noise

    found = explain_anchors(tiny(Noisy, mean), scans[:400], reference=scans[400:700], draws=2)
    claims_nothing(found)
    assert found.comes_back.share < 0.05


def test_an_inverted_reference() -> None:
    anchors = small_digits("anchors").samples[:300]
    found = explain_anchors(small_vae(), anchors, reference=1 - small_digits("anchors").samples[300:600])
    claims_nothing(found)
    assert found.groups["BELOW"].share > 0.5
    assert headline(found).startswith(f"{100 * found.groups['BELOW'].share:.1f}% of 300 anchors are simpler")
    assert {"reference-unlike-model"} <= said(found)


def test_blank_pictures_are_below_the_reference_and_called_simple(digits) -> None:
    scans, _ = digits
    blank = np.full((60, 64), 0.3, np.float32)
    blank[:, 0] += np.linspace(0, 0.01, 60)  # copies would be counted once
    model = by_components(np.concatenate([scans[600:900], blank]), 20)
    found = explain_anchors(model, blank, reference=scans[300:600])
    assert found.groups["HIHE"].count == 0
    assert found.comes_back.count == 0
    assert found.groups["BELOW"].share > 0.9
    assert "are simpler" in headline(found)
    assert found.details.below.simple == found.details.below.count


def colours(n: int, seed: int) -> np.ndarray:
    """Soft colour pictures, 16 x 16."""
    rng = generator(seed, "colours")
    coarse = rng.random((n, 4, 4, 3))
    return np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2).astype(np.float32)


def by_components(samples: np.ndarray, kept: int, **fields) -> LatentModel:
    """Principal components as an autoencoder without torch."""
    flat = samples.reshape(len(samples), -1)
    mean = flat.mean(axis=0)
    _, spread, axes = np.linalg.svd(flat - mean, full_matrices=False)
    scale, axes = spread[:kept] / np.sqrt(len(flat)), axes[:kept]
    shape = samples.shape[1:]

    def encode(x):
        z = ((x.reshape(len(x), -1) - mean) @ axes.T / scale).astype(np.float32)
        return z, np.full_like(z, -6.0)

    def decode(z):
        return ((z * scale) @ axes + mean).astype(np.float32).reshape(-1, *shape)

    return LatentModel(encode=encode, decode=decode, **{"shape": shape, "value_range": (-9.0, 9.0), **fields})


def test_colour_pictures_whose_labels_no_criterion_tells_apart() -> None:
    model = by_components(colours(300, 0), 5, value_range=(0.0, 1.0), layout="NHWC")
    labels = ["airplane"] * 100 + ["truck"] * 100
    from whygen.anchors.data import SampleSet

    reference = SampleSet(samples=colours(200, 2), layout="NHWC", labels=("airplane",) * 200, source="held out")
    found = explain_anchors(model, colours(200, 1), labels=labels, reference=reference, draws=2)
    assert [each.name for each in found.criteria] == ["kld", "feature-l2"]
    assert "patches" in found.details.criteria_reason
    foil = next(each for each in found.foils if each.name == "other labels")
    assert foil.alike.share > 0.8
    assert headline(found).startswith("The shares of this run say nothing of the model")
    assert "anchors of other labels" in headline(found)
    assert "no-power" in said(found)
    assert any("other labels" in warning.text for warning in found.warnings if warning.code == "no-power")
    claims_nothing(found)


def test_principal_components_reproduce_and_have_no_untrained_copy(digits) -> None:
    scans, labels = digits
    own = scans[labels == 0]
    found = explain_anchors(by_components(own[:90], 20), own[90:], reference=own[40:90], draws=2)
    assert control(found, "untrained") is None
    assert "no torch module" in next(each.missing for each in found.controls if each.name == "untrained")
    assert "the mean sample in the place of every reconstruction would say" in headline(found)
    assert not earned(found)


def test_a_decoder_with_noise_for_weights_reproduces_nothing(digits) -> None:
    scans, _ = digits
    module = tiny()
    with torch.no_grad():
        for weight in module.back.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    found = explain_anchors(module, scans[:200], reference=scans[200:400], draws=2)
    claims_nothing(found)
    assert found.comes_back.count == 0


def test_waves_of_numbers(digits) -> None:
    rng = generator(0, "waves")
    waves = np.sin(np.linspace(0, 9, 64) * rng.uniform(0.8, 1.2, (400, 1)) + rng.uniform(0, 6, (400, 1)))
    waves = waves.astype(np.float32)
    found = explain_anchors(by_components(waves[:200], 6), waves[200:300], reference=waves[300:], draws=2)
    assert "look to this model like your reference samples" in headline(found)
    assert {each.name for each in found.foils} == {"shuffled", "noise", "blends"}
    assert found.comes_back.share > 0.5
    assert not earned(found)


def test_a_model_that_copies_everything_tells_nothing_apart(digits) -> None:
    scans, _ = digits
    copy = LatentModel(encode=lambda x: (x, np.zeros_like(x)), decode=lambda z: z, shape=(64,))
    found = explain_anchors(copy, scans[:200], reference=scans[200:400], draws="mean")
    sse = [record for record in found.power if record.criterion == "sse"]
    assert all(record.auroc == 0.5 and not record.tells for record in sse)
    assert "no-power" in said(found)
    claims_nothing(found)


def test_what_is_learned_is_said_to_be_known(digits) -> None:
    scans, labels = digits
    own = scans[labels == 0]
    module = tiny()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    seen = torch.from_numpy(own[:90])
    for _ in range(600):
        optimizer.zero_grad()
        mean, _ = module.encode(seen)
        (((module.decode(mean) - seen) ** 2).sum(1).mean() + 0.02 * mean.square().sum(1).mean()).backward()
        optimizer.step()
    found = explain_anchors(module, scans[:400], reference=own[90:], labels=labels[:400], draws=2)
    copy = control(found, "untrained")
    assert found.comes_back.low > copy.comes_back.high
    assert found.comes_back.groups["HIHE"] == found.comes_back.count
    told = all(record.tells for record in found.power if record.foil != "blends")
    assert earned(found) == told


def test_the_paper_speaks_in_its_own_words_and_runs_no_controls() -> None:
    found = explain_anchors(small_vae(), small_digits("anchors"), preset="pxgen", rounds=2, per_round=200)
    assert found.controls == found.foils == found.power == ()
    assert found.tails is None
    assert found.groups["BELOW"].count == 0
    assert headline(found).startswith("By the paper's rule")
    assert "in its words" in headline(found)


def test_controls_can_be_chosen(digits) -> None:
    scans, _ = digits
    options = {"reference": scans[100:200], "draws": 1}
    none = explain_anchors(tiny(), scans[:100], controls="none", **options)
    assert (none.controls, none.comes_back, none.foils, none.yardsticks) == ((), None, (), ())
    assert "nothing was run beside it" in headline(none)
    some = explain_anchors(tiny(), scans[:100], controls="untrained,foils", **options)
    assert [each.name for each in some.controls] == ["untrained"]
    assert some.comes_back is None
    with pytest.raises(UnknownNameError, match="untrained"):
        explain_anchors(tiny(), scans[:100], controls="untrainde", **options)
    assert {name: each.count for name, each in none.groups.items()} == {
        name: each.count for name, each in some.groups.items()
    }


def test_progress_counts_the_controls(digits) -> None:
    scans, _ = digits

    class Counting:
        def begin(self, total, unit):
            self.total, self.done = total, 0

        def advance(self, n, *, cached):
            self.done += n

        def end(self):
            pass

    progress = Counting()
    explain_anchors(tiny(), scans[:100], reference=scans[100:200], draws=1, progress=progress)
    assert progress.done == progress.total > 200


def test_an_encoder_by_name_open_or_wrong() -> None:
    from whygen.encoders import load_image_encoder

    anchors, reference = colours(30, 3), colours(60, 4)
    model = by_components(colours(100, 0), 5, value_range=(0.0, 1.0), layout="NHWC")
    named, opened = (
        explain_anchors(model, anchors, reference=reference, encoder=encoder, draws=1)
        for encoder in ("patches", load_image_encoder("patches"))
    )
    assert named.thresholds == opened.thresholds
    with pytest.raises(UsageError, match="encoder is a int"):
        explain_anchors(model, anchors, reference=reference, encoder=3, draws=1)


def test_of_anchors_that_are_known_by_heart_nothing_is_said_of_coming_back() -> None:
    zeros = np.concatenate([small_digits("training").samples, small_digits("reference").samples])
    known, held = zeros[:40], zeros[40:]

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        return np.clip(known[rng.integers(40, size=n)] + 0.02 * rng.normal(size=(n, 8, 8)), 0, 1)

    found = explain_anchors(sample, known, reference=held, bank=300, cache=None)
    assert headline(found).startswith(
        "100.0% of 40 anchors are simpler, or better known to this model, than nearly all"
    )
    assert "than what is trivial" not in headline(found)
    mean = next(each for each in found.controls if each.name == "mean").groups["BELOW"].share
    assert f"would say {100 * mean:.1f}% are simpler or better known" in headline(found), "the control of that share"
    told = next(each.text for each in found.warnings if each.code == "empty-hihe")
    assert "training samples" in told
    assert "size, channels" not in told
