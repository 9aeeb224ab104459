"""What whygen says of the demo's VAE, on digits that choose it and on the digits that are shipped.

    python -m training.digits.evaluate --data mnist.npz --model build/digits

Width, latents and epochs are chosen by the first table: zeros of the test set and other digits of the training set,
none of which is shipped. The second is the demo's own page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from training.digits.train import EACH, split
from whygen.anchors.data import SampleSet, load_samples
from whygen.anchors.explain import explain_anchors
from whygen.demo.digits import IMAGES, LATENT, TRAINED_CLASS, WEIGHTS, WIDTH
from whygen.demo.digits.vae import DigitsVae, load_vae
from whygen.results import AnchorExplanation
from whygen.results.anchors import GROUPS
from whygen.stats.seeds import generator
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist


def choosing(mnist: Mnist, *, seed: int) -> SampleSet:
    """As many of every class as the demo has: zeros of the test set that are no anchors, others of the training set."""
    rng = generator(seed, "digits", "choosing")
    zeros = split(mnist, seed=seed).spare[:EACH]
    rows = [rng.permutation(np.flatnonzero(mnist.train_labels == label))[:EACH] for label in range(1, 10)]
    others = np.concatenate(rows)
    labels = [TRAINED_CLASS] * len(zeros) + [int(label) for label in mnist.train_labels[others]]
    return SampleSet(
        samples=np.concatenate([mnist.test_images[zeros], mnist.train_images[others]]),
        layout="NHW",
        labels=tuple(labels),
        source="MNIST digits that are not shipped",
    )


def told(module: DigitsVae, anchors: SampleSet, reference: object) -> AnchorExplanation:
    return explain_anchors(module, anchors, reference=reference)


def table(found: AnchorExplanation) -> str:
    """Groups of the zeros and of the others, flip rate and spread of the thresholds, as a row of a Markdown table."""
    details = found.details
    if details is None or details.label_table is None:
        raise AssertionError("the anchors have labels")
    counts = np.array(details.label_table.counts)
    zeros = np.array([label == TRAINED_CLASS for label in details.label_table.labels])
    shares = [counts[zeros].sum(axis=0) / counts[zeros].sum(), counts[~zeros].sum(axis=0) / counts[~zeros].sum()]
    spreads = ", ".join(f"{each.criterion} {each.spread:.1%}" for each in details.thresholds if each.spread is not None)
    rows = [
        f"| {who} | {' | '.join(f'{share:.1%}' for share in row)} |"
        for who, row in zip(("zeros", "other digits"), shares, strict=True)
    ]
    head = [f"| | {' | '.join(GROUPS)} |", "|---" * (len(GROUPS) + 1) + "|"]
    return "\n".join([*head, *rows, f"mean flip rate {found.mean_flip_rate:.2%}; spread of thresholds {spreads}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz, or a folder of MNIST's idx files")
    parser.add_argument("--model", type=Path, default=Path("build/digits"))
    parser.add_argument("--seed", type=int, default=0, help="that of the training")
    given = parser.parse_args()
    module = load_vae(given.model / WEIGHTS, width=WIDTH, latent=LATENT)
    images = str(given.model / IMAGES)
    reference, shipped = load_samples(f"{images}#reference"), load_samples(f"{images}#anchors")
    labels = np.load(images, allow_pickle=False)["labels"]
    print("Digits that choose the model")
    print(table(told(module, choosing(load_mnist(given.data), seed=given.seed), reference)))
    print("\nThe demo")
    print(table(told(module, load_samples(shipped, labels=labels), reference)))


if __name__ == "__main__":
    main()
