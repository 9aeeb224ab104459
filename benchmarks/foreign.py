"""Generators and data sets that nobody here made, through the doors of the anchor wing: each works or names its door.

Of what works, the criteria (of generators) or the values (of data sets) are compared with those of the plainest
spelling. Of what is refused, the words are looked for that name the door, and the door is gone through. Anything else
than an error that whygen raises on purpose is a fault, and so is a door that does not open.
"""

# pyright: basic
from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import data as loading

import whygen
from benchmarks import foreign_generators as generators
from benchmarks import foreign_holders as holders
from benchmarks import foreign_sets as sets
from benchmarks import record
from whygen.anchors.criteria import Criterion
from whygen.anchors.data import load_samples
from whygen.errors import WhygenError
from whygen.models import LatentModel, Posterior

SEED = 20_261_129
Open = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """What is held, and where it is refused on purpose: words of the refusal, and the door that they name."""

    make: Open
    words: str = ""
    door: Open | None = None


def pictures(n: int, start: int) -> np.ndarray:
    return np.random.default_rng([SEED, start]).random((n, 1, 8, 8)).astype(np.float32)


ANCHORS, REFERENCE = pictures(20, 1), pictures(60, 2)


def explained(model: Any, **options: Any) -> np.ndarray:
    """The criteria of the anchors under this model."""
    found = whygen.explain_anchors(model, ANCHORS, reference=REFERENCE, controls="none", **options)
    assert found.evidence is not None
    return np.asarray(found.evidence.draws).mean(0)


def brought(encode: Callable[[np.ndarray], np.ndarray], decode: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The door of models without a posterior: an intrinsic criterion of one's own beside sse."""
    model = LatentModel(
        encode=lambda samples: Posterior(latents := encode(samples), np.full_like(latents, -20.0)), decode=decode
    )
    size = Criterion("size", "intrinsic", "squared length of the latents", lambda batch: lambda _: (
        (encode(batch.samples) ** 2).sum(1)
    ))  # fmt: skip
    return explained(model, criteria=[size, "sse"])


def of_torch(module: Any) -> np.ndarray:
    """The same for a torch module: what it encodes to, without a posterior."""
    shape: list[tuple[int, ...]] = []

    def encode(samples: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found = (module.encode if hasattr(module, "encode") else module.encoder)(torch.from_numpy(samples))
        for name in ("latents", "embedding"):
            found = getattr(found, name, found)
        found = found[0] if isinstance(found, tuple) else found
        shape[:] = [tuple(found.shape[1:])]
        return found.flatten(1).numpy()

    def decode(latents: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            given = torch.from_numpy(np.asarray(latents, np.float32)).reshape(-1, *shape[0])
            found = (module.decode if hasattr(module, "decode") else module.decoder)(given)
        for name in ("sample", "reconstruction"):
            found = getattr(found, name, found)
        return found.numpy()

    return brought(encode, decode)


def of_sklearn(name: str) -> np.ndarray:
    model = generators.fitted(name)
    return brought(
        lambda samples: model.transform(samples.reshape(len(samples), -1).astype(float)).astype(np.float32),
        lambda latents: model.inverse_transform(latents.astype(float)).reshape(-1, 1, 8, 8).astype(np.float32),
    )


def loaded(path: str) -> np.ndarray:
    """The door of a file of weights."""
    from safetensors.torch import load_file

    model = generators.PLAIN()
    model.load_state_dict(load_file(path) if path.endswith(".safetensors") else torch.load(path, weights_only=True))
    return explained(model)


def joined(one_way: Open) -> Callable[[], np.ndarray]:
    """The door of what goes one way: an encoder beside it, both as one `LatentModel`."""

    def through() -> np.ndarray:
        one_way()
        plain = generators.Numpy()
        return explained(LatentModel(encode=lambda x: Posterior(*plain.encode(x)), decode=plain.decode))

    return through


def generator_cases(folder: Path) -> dict[str, Case]:
    own, join = "You can bring both", "give both as one"
    tiny = generators.diffusers_tiny
    spelled, plain = generators.spelled, generators.PLAIN
    sigma, soft = spelled("S", encode=generators.sigmas), spelled("S", encode=generators.softplus)
    flat, doubled = generators.Numpy(), generators.NumpyDoubled()
    cases = {name: Case(make) for name, make in generators.SPELLINGS.items()}
    cases |= {
        "diffusers AutoencoderKL": Case(generators.diffusers_kl),
        "diffusers AsymmetricAutoencoderKL": Case(generators.diffusers_asymmetric),
        "float16": Case(lambda: plain().half()),
        "torch.jit.trace": Case(lambda: torch.jit.trace(generators.Scripted(), torch.zeros(2, 1, 8, 8))),
        "encode gives (mu, sigma)": Case(sigma, "scale='std'", lambda: explained(sigma(), scale="std")),
        "encode gives (mu, softplus)": Case(soft, "scale='std'", lambda: explained(soft(), scale="std")),
        "one array of both over arrays": Case(
            generators.NumpyDoubled, "numpy.split(encode(x), 2, axis=1)",
            lambda: explained(
                LatentModel(
                    encode=lambda x: Posterior(*np.split(doubled.encode(x), 2, axis=1)), decode=flat.decode
                )
            ),
        ),
        "conditional VAE": Case(
            generators.Conditional, "is conditional",
            lambda: explained(generators.OneCondition(generators.Conditional())),
        ),
        "a Lightning module around its network": Case(
            generators.Wrapper, "give model.model", lambda: explained(generators.Wrapper().model)
        ),
        "the class, not an object": Case(lambda: plain, "give one of its objects", lambda: explained(plain())),
        "a state dict": Case(lambda: plain().state_dict(), "load it into the model", lambda: explained(plain())),
        "plain autoencoder": Case(generators.AUTOENCODER, own, lambda: of_torch(generators.AUTOENCODER())),
        "pythae AE": Case(generators.PythaeAE, own, lambda: of_torch(generators.PythaeAE())),
        "diffusers AutoencoderTiny": Case(tiny, own, lambda: of_torch(tiny())),
        "diffusers VQModel": Case(generators.diffusers_vq, own, lambda: of_torch(generators.diffusers_vq())),
        "taming VQGAN": Case(generators.Taming, "models.Generator(", lambda: of_torch(generators.Taming())),
        "an encoder and a decoder, as a pair": Case(
            lambda: (torch.nn.Linear(64, 3), torch.nn.Linear(3, 64)), join, joined(generators.Generator)
        ),
        "one function": Case(lambda: abs, join, joined(generators.Generator)),
        "DCGAN generator": Case(generators.Generator),
        "nn.Sequential": Case(lambda: torch.nn.Sequential(torch.nn.Linear(3, 64))),
        "normalising flow": Case(generators.RealNVP),
        "diffusers UNet2DModel": Case(generators.unet, join, joined(generators.unet)),
        "diffusers DDPMPipeline": Case(generators.ddpm),
        "transformers GPT-2": Case(generators.gpt2, "the anchors are texts"),
        "transformers ViTMAE": Case(generators.vit_mae, "fill in ids_restore"),
        "nothing": Case(lambda: None, "Give a torch module"),
    }  # fmt: skip
    for name in ("NMF", "KernelPCA"):
        cases[f"scikit-learn {name}"] = Case(
            lambda name=name: generators.fitted(name), own, lambda name=name: of_sklearn(name)
        )
    for name in ("PCA", "GaussianMixture", "KernelDensity"):
        cases[f"scikit-learn {name}"] = Case(lambda name=name: generators.fitted(name))
    for name, words in (("vae.pt", "torch.load(path"), ("vae.safetensors", "load_file(path")):
        path = generators.weights(folder, name)
        cases[name] = Case(lambda path=path: path, words, lambda path=path: loaded(path))
    cases["vae.onnx"] = Case(
        lambda: generators.weights(folder, "vae.onnx"), "onnxruntime", joined(generators.Generator)
    )
    cases["model.gguf"] = Case(lambda: generators.weights(folder, "model.gguf"), "--base-url")
    return cases


def set_cases(folder: Path) -> dict[str, Case]:
    import pandas

    tensor = torch.from_numpy(sets.UNIT)
    bytes_of = sets.BYTES
    labels = torch.tensor(sets.LABELS)
    pil = lambda picture: sets.Image.fromarray((picture * 255).round().astype(np.uint8))  # noqa: E731
    pairs = sets.Pairs
    texts = Case(lambda: ["a fox", "an owl"], "whygen.explain_prompt")
    cases: dict[str, Case] = {
        "Dataset of (image, label)": Case(pairs),
        "Dataset of (PIL image, label)": Case(lambda: pairs(pil)),
        "Dataset of dicts": Case(sets.Dicts),
        "Subset": Case(lambda: loading.Subset(pairs(), range(sets.N))),
        "ConcatDataset": Case(
            lambda: loading.ConcatDataset(
                [loading.Subset(pairs(), range(9)), loading.Subset(pairs(), range(9, sets.N))]
            )
        ),
        "TensorDataset": Case(lambda: loading.TensorDataset(tensor[:, None], labels)),
        "DataLoader": Case(lambda: loading.DataLoader(pairs(), batch_size=7)),
        "DataLoader of dicts": Case(lambda: loading.DataLoader(sets.Dicts(), batch_size=7)),
        "DataLoader without batches": Case(lambda: loading.DataLoader(pairs(), batch_size=None)),
        "DataLoader of a stream": Case(lambda: loading.DataLoader(sets.Stream(), batch_size=6)),
        "iter() of a DataLoader": Case(lambda: iter(loading.DataLoader(pairs(), batch_size=7))),
        "IterableDataset": Case(sets.Stream),
        "rows by number": Case(sets.Rows),
        "a generator": Case(lambda: (row for row in sets.UNIT)),
        "Hugging Face Dataset": Case(sets.hugging_face),
        "the same, formatted for torch": Case(lambda: sets.hugging_face().with_format("torch")),
        "the same, as a stream": Case(lambda: sets.hugging_face().to_iterable_dataset()),
        "the same with captions": Case(lambda: sets.hugging_face(caption=["x"] * sets.N)),
        "DatasetDict": Case(sets.splits, "Give one", lambda: sets.splits()["train"]),
        "saved Hugging Face data set": Case(lambda: saved_set(folder / "saved", sets.hugging_face())),
        "saved DatasetDict": Case(
            lambda: saved_set(folder / "splits", sets.splits()), "#train", lambda: f"{folder / 'splits'}#train"
        ),
        "saved data set, cut short": Case(lambda: sets.damaged(folder), "Save it again", sets.hugging_face),
        "DataFrame of numbers": Case(
            sets.frame, "reshape(-1, 1, 8, 8)", lambda: np.asarray(sets.frame()).reshape(-1, 1, 8, 8)
        ),
        "DataFrame of numbers and labels": Case(
            lambda: sets.frame().assign(label=sets.LABELS), "reshape(-1, 1, 8, 8)", pairs
        ),
        "DataFrame of pictures": Case(lambda: pandas.DataFrame({"image": sets.pictures(), "label": sets.LABELS})),
        "Series of arrays": Case(lambda: pandas.Series(list(sets.UNIT))),
        "list of PIL images": Case(sets.pictures),
        "list of paths": Case(lambda: sorted(sets.flat_folder(folder / "a").glob("*.png"))),
        "list of paths as texts": Case(lambda: [str(each) for each in sorted((folder / "a").glob("*.png"))]),
        "a pattern of paths": Case(lambda: str(folder / "a" / "*.png")),
        "a folder": Case(lambda: folder / "a"),
        "one picture": Case(lambda: folder / "a" / "000.png"),
        "root above train and test": Case(lambda: above(folder), "give one of them", lambda: folder / "a"),
        "one of colours among grey ones": Case(lambda: sets.one_of_colours(folder)),
        "one of another size": Case(lambda: sets.of_sizes(folder)),
        "memory map": Case(lambda: np.load(sets.saved(folder, "map.npy"), mmap_mode="r")),
        "tensor with gradients": Case(lambda: tensor.clone().requires_grad_()),
        "tensor of bfloat16": Case(tensor.bfloat16),
        "tensor of uint8": Case(lambda: torch.from_numpy(bytes_of)),
        "sparse tensor": Case(tensor.to_sparse),
        "(tensor, labels)": Case(lambda: (tensor, labels)),
        "dict of images and labels": Case(lambda: {"images": sets.UNIT, "labels": sets.LABELS}),
        "dict of splits": Case(lambda: {"train": pairs(), "test": pairs()}, "Give one", pairs),
        "nested lists": Case(sets.UNIT.tolist),
        "npz with a text inside": Case(lambda: sets.readme_inside(folder)),
        "npz by name": Case(lambda: f"{sets.saved(folder, 'named.npz')}#images"),
        "texts": texts,
        "labels alone": Case(lambda: sets.LABELS, "as labels are", pairs),
        "the class of a data set": Case(lambda: pairs, "give one of its objects", pairs),
        "no sample": Case(list, "Give at least one", pairs),
        "NaN among the values": Case(lambda: np.where(sets.UNIT > 0.99, np.nan, sets.UNIT), "Leave it out", pairs),
        "masked array": Case(
            lambda: np.ma.masked_less(sets.UNIT, 0.1), "filled", lambda: np.ma.masked_less(sets.UNIT, -1.0).filled(0.0)
        ),
        "values from -1 to 1": Case(lambda: sets.UNIT * 2 - 1, "Scale them", lambda: sets.UNIT),
        "floats from 0 to 255": Case(lambda: bytes_of.astype(np.float32), "divide them by 255", lambda: sets.UNIT),
        "a pipe": Case(lambda: pipe(folder), "not a file", lambda: sets.UNIT),
        "missing path": Case(lambda: folder / "nowhere.npy", "Give a folder", lambda: folder / "a"),
    }  # fmt: skip
    for name in ("a.npy", "a.npz", "a.safetensors", "a.parquet"):
        cases[name] = Case(lambda name=name: sets.saved(folder, name))
    doors: dict[str, tuple[str, Open]] = {
        "a.pt": ("torch.load", lambda: torch.load(folder / "a.pt", weights_only=True)),
        "a.csv": ("numpy.loadtxt", lambda: np.loadtxt(folder / "a.csv", delimiter=",").reshape(-1, 8, 8)),
        "a.zip": ("Unpack it", lambda: unpacked(folder / "a.zip", folder / "zip")),
        "a.tar": ("Unpack it", lambda: unpacked(folder / "a.tar", folder / "tar")),
        "a.h5": ("h5py", lambda: sets.UNIT),
        "a.jsonl": ("whygen.explain_prompt", lambda: sets.UNIT),
    }
    for name, (words, door) in doors.items():
        cases[name] = Case(lambda name=name: sets.saved(folder, name), words, door)
    cases |= {name: Case(make) for name, make in holders.works(folder).items()}
    cases |= {
        name: Case(
            make, "shape=(1, 8, 8)", lambda make=make: np.asarray(load_samples(make()).samples).reshape(-1, 8, 8)
        )
        for name, make in holders.flat(folder).items()
    }
    return cases | {name: Case(*case) for name, case in holders.refused(folder).items()}


def saved_set(path: Path, data: Any) -> Path:
    data.save_to_disk(path)
    return path


def above(folder: Path) -> Path:
    for split in ("train", "test"):
        sets.folder(folder / "root" / split)
    return folder / "root"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.npy")
    return folder / "pipe.npy"


def unpacked(archive: Path, into: Path) -> Path:
    import shutil

    shutil.unpack_archive(archive, into, **({"filter": "data"} if archive.suffix == ".tar" else {}))
    return into


def values_of(source: Any) -> np.ndarray:
    """The samples of a source ``(n, 64)`` as a run takes them: checked against a model, between 0 and 1."""
    found = load_samples(source)
    whygen.explain_anchors(generators.PLAIN(), found, calibration="std", rounds=2, per_round=8, controls="none")
    values = np.asarray(found.samples)
    return values.reshape(len(values), -1) / (255.0 if values.dtype == np.uint8 else 1.0)


def ended(case: Case, run: Callable[[Any], np.ndarray], expected: np.ndarray | None) -> tuple[str, str]:
    """How a case ended (works, door, fault), and what shows it; ``expected`` is what the plain spelling gives."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            found = run(case.make())
    except WhygenError as error:
        return _refused(case, str(error), run)
    except Exception as error:  # the fault that is looked for
        return "fault", f"{type(error).__name__}: {error}"
    if case.words:
        return "fault", "taken, and expected to be refused"
    if not np.all(np.isfinite(found)):
        return "fault", "values that are not finite"
    if expected is not None and not _equal(found, expected):
        return "fault", "other values than those of the plain spelling"
    return "works", ""


def _equal(found: np.ndarray, expected: np.ndarray) -> bool:
    """The samples are equal, and the first ones where there is more or less of them: as far as bfloat16 tells."""
    shared = min(len(found), len(expected))
    return found.shape[1:] == expected.shape[1:] and np.allclose(
        found[:shared], expected[:shared], rtol=0.02, atol=4e-3
    )


def _refused(case: Case, text: str, run: Callable[[Any], np.ndarray]) -> tuple[str, str]:
    if not case.words or case.words not in text:
        return "fault", f"refused otherwise: {text}"
    if case.door is not None:
        try:
            through = case.door()
            if not isinstance(through, np.ndarray) or run is values_of:
                run(through)
        except Exception as error:
            return "fault", f"the door does not open: {type(error).__name__}: {error}"
    return "door", text


def main(data: Path | None = None) -> None:
    del data
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(SEED)
        plain = explained(generators.PLAIN())
        for kind, cases, run, expected in (
            ("generator", generator_cases(folder), explained, plain),
            ("data", set_cases(folder), values_of, sets.UNIT.reshape(sets.N, -1)),
        ):
            for title, case in cases.items():
                torch.manual_seed(SEED)  # all spellings get the same weights
                alike = kind == "data" or title in generators.SPELLINGS
                how, shown = ended(case, run, expected if alike else None)
                rows.append({"kind": kind, "name": title, "how": how, "shown": shown.replace(name, "FOLDER")[:300]})
                if how == "fault":
                    print(f"{kind}: {title}: {shown}", flush=True)
    counts = {
        kind: {
            how: sum(row["kind"] == kind and row["how"] == how for row in rows) for how in ("works", "door", "fault")
        }
        for kind in ("generator", "data")
    }
    record.write("foreign", {"counts": counts, "rows": rows}, seed=SEED)
    print(counts)


if __name__ == "__main__":
    main()
