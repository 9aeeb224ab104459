"""Train the GAN and the autoregressive model that tests of the anchor wing use, on MNIST zeros of 14 x 14.

    python -m training.generators.train --data mnist.npz --out tests/data/generators

One core and two minutes. They are trained on the zeros that trained the demo's VAE (`training.digits.train`), so the
demo's reference is one that they have not seen, and its anchors are test digits.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from training.digits.train import split
from training.generators.models import halved, train_gan, train_made
from whygen_experiments.pxgen_mnist0 import load_mnist

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.generators.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz, or a folder of idx files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    chosen = parser.parse_args()
    mnist = load_mnist(chosen.data)
    zeros = halved(mnist.train_images[split(mnist, seed=SEED).training])
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, train in (("gan", train_gan), ("made", train_made)):
        began = time.process_time()
        module = train(zeros, seed=SEED)
        weights = {key: each.contiguous() for key, each in module.state_dict().items()}
        save_file(weights, str(chosen.out / f"{name}.safetensors"))
        spread = float(np.sqrt(zeros.reshape(len(zeros), -1).var(axis=0).mean()))
        print(f"{name}: {time.process_time() - began:.0f} s, {len(zeros)} zeros of spread {spread:.3f}")


if __name__ == "__main__":
    main()
