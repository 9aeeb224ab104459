"""The flow of the benchmarks: its density is that of what it samples, and it learns; whygen reads it by both tails."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from training.generators.models import VALUES, Flow, train_flow  # noqa: E402

import whygen  # noqa: E402

RNG = np.random.default_rng(0)


def blobs(n: int) -> np.ndarray:
    """Pictures of one bright spot each, in steps of a byte."""
    places = np.stack(np.mgrid[0:14, 0:14]) / 14
    middle = RNG.uniform(0.35, 0.65, (n, 2, 1, 1))
    return (255 * np.exp(-((places - middle) ** 2).sum(axis=1) / 0.03)).round().astype(np.float32) / 255


def latents(flow: Flow, pixels: torch.Tensor) -> torch.Tensor:
    """The map from pixels, as the couplings have it."""
    values = (flow.start(pixels) - flow.middle) / flow.spread
    for coupling in flow.couplings:
        scale, shift = coupling.parts(values)
        values = values * torch.exp(scale) + shift
    return values.detach() if not pixels.requires_grad else values


@pytest.fixture(scope="module")
def flow() -> Flow:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    trained = train_flow(blobs(300), seed=0, epochs=8)
    torch.set_num_threads(before)
    return trained


def test_the_density_is_that_of_a_change_of_variables(flow: Flow) -> None:
    """Two roads: the sum over couplings, and the determinant of the whole map's Jacobian."""
    with torch.no_grad():
        for coupling in flow.couplings:
            assert coupling.net[-1].weight.abs().sum() > 0  # it has learned to move
    one = torch.from_numpy(blobs(1).reshape(1, VALUES))

    pixels = ((one * 255 + 0.5) / 256).double()
    double = flow.double()
    jacobian = torch.autograd.functional.jacobian(lambda x: latents(flow, x[None])[0], pixels[0])
    normal = -0.5 * (latents(flow, pixels).square() + np.log(2 * np.pi)).sum()
    expected = normal + torch.linalg.slogdet(jacobian)[1] - VALUES * np.log(256)
    assert double.log_prob(one.double())[0].item() == pytest.approx(expected.item(), rel=1e-6)
    flow.float()


def test_samples_go_back_to_the_latents_they_came_from() -> None:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        flow = Flow()
        flow.spread.fill_(0.3)  # nothing is cut at black or white
        for coupling in flow.couplings:
            coupling.net[-1].weight.normal_(0, 0.1)
        torch.manual_seed(1)
        made = flow.sample(20)
        torch.manual_seed(1)
        drawn = torch.randn(20, VALUES)
    assert ((made > 0) & (made < 1)).all()
    found = latents(flow, made)
    assert not torch.allclose(found, (flow.start(made) - flow.middle) / flow.spread, atol=0.1)
    assert torch.allclose(found, drawn, atol=1e-3)


def test_it_learns_and_whygen_reads_both_tails(flow: Flow) -> None:
    with torch.no_grad():
        own, noise = (
            flow.log_prob(torch.from_numpy(x.reshape(-1, VALUES)))
            for x in (blobs(40), RNG.random((40, 14, 14), dtype=np.float32))
        )
    assert own.median() > noise.median() + 100
    anchors = np.concatenate([blobs(10), RNG.random((5, 14, 14), dtype=np.float32)]).reshape(-1, VALUES)
    found = whygen.explain_anchors(
        flow, anchors, reference=blobs(60).reshape(-1, VALUES), criteria="nll,nearest-sample", bank=60, controls="none",
        cache=None,
    )  # fmt: skip
    assert [found.evidence.codes[row] for row in range(10, 15)] == [found.evidence.codes[10]] * 5
    low = {name for name, group in found.groups.items() if group.count >= 5 and name in ("LILE", "LIHE")}
    assert low
