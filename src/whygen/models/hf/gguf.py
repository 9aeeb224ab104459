# pyright: basic
"""``hf/FILE.gguf``: where such a file is found, and what is wrong with one that cannot be read.

transformers reads the file and turns its weights into those of a plain network (dequantised); nothing here computes.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from whygen.errors import MissingError, MissingExtraError, UsageError

ENDING: Final = ".gguf"
_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
"""Of the format, that are read, in the byte order of most files (little-endian); others are laid out in another way."""
_NEEDED: Final = ("gguf", "accelerate")
"""What transformers asks for before it reads such a file."""
_BY_SERVER: Final = "Or let llama.cpp's server run it, and ask it as openai/NAME with --base-url."


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model is: a folder or a name of the hub, the revision, and the GGUF file in it if it is one."""

    where: str
    revision: str = "main"
    gguf: str | None = None

    @property
    def how(self) -> dict[str, Any]:
        """What every loader of transformers is told."""
        told: dict[str, Any] = {"revision": self.revision, "trust_remote_code": False}
        return told if self.gguf is None else {**told, "gguf_file": self.gguf}

    @property
    def file(self) -> Path | None:
        """The GGUF file, where it lies on this machine."""
        return Path(self.where, self.gguf) if self.gguf and Path(self.where).is_dir() else None


def place_of(name: str) -> ModelPlace:
    """Where a name points: a folder, a GGUF file, a folder with one, or the hub (``ORG/NAME[/FILE.gguf][@REVISION]``).

    Raises:
        MissingError: for a file that is not there, or a folder with several and nothing else.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if path.is_file() and path.suffix.lower() == ENDING:
        return ModelPlace(str(path.parent), gguf=path.name)
    place, _, revision = name.partition("@")
    parts = place.split("/")
    if place.lower().endswith(ENDING):
        if len(parts) < 3 or "" in parts or parts[0] in (".", "..", "~"):
            raise MissingError(f"model='hf/{name}': there is no file {name!r}. Check the path.")
        return ModelPlace("/".join(parts[:2]), revision or "main", "/".join(parts[2:]))
    return ModelPlace(place, revision or "main")


def _in_folder(folder: Path) -> ModelPlace:
    files = sorted(path.name for path in folder.iterdir() if path.suffix.lower() == ENDING)
    if not files or (folder / "config.json").exists():
        return ModelPlace(str(folder))
    if len(files) > 1:
        raise MissingError(
            f"model='hf/{folder}': the folder holds {len(files)} GGUF files ({', '.join(files[:5])}). Name one of "
            f"them, such as hf/{folder / files[0]}."
        )
    return ModelPlace(str(folder), gguf=files[0])


def check_packages(name: str) -> None:
    """Refuse a GGUF file where what reads it is not installed.

    Raises:
        MissingExtraError: naming the first package that is missing.
    """
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"A GGUF file (hf/{name})", extra="smol", package=package)


def check_beginning(name: str, place: ModelPlace) -> None:
    """Refuse a file that is no GGUF file, or one of another version, before torch is imported to read it.

    Raises:
        MissingError, UsageError: saying which.
    """
    if place.file is not None and (wrong := _beginning_of(name, place.file)) is not None:
        raise wrong


def _beginning_of(name: str, file: Path) -> MissingError | UsageError | None:
    told = f"model='hf/{name}'"
    with file.open("rb") as opened:
        magic, version = opened.read(len(_MAGIC)), opened.read(4)
    if magic != _MAGIC:
        return MissingError(f"{told}: {file.name} is no GGUF file: it does not begin with 'GGUF'. Download it again.")
    if len(version) == 4 and int.from_bytes(version, "little") not in _VERSIONS:
        return UsageError(
            f"{told}: {file.name} is {_version(version)}, and only versions {_VERSIONS[0]} and {_VERSIONS[1]} can be "
            f"read. Convert the model again with today's llama.cpp. {_BY_SERVER}"
        )
    return None


def fault_of(name: str, file: Path | None, error: Exception) -> MissingError | UsageError:
    """What is wrong with a GGUF file that could not be loaded, told in a sentence."""
    first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    told = f"model='hf/{name}'"
    if file is None:
        return MissingError(
            f"{told}: the file is not to be had from the hub ({first}). Check its name, or the network."
        )
    if (begun := _beginning_of(name, file)) is not None:
        return begun
    try:
        fields = _fields(file)
    except Exception as broken:  # of a parser that trusts its file: any error of numpy and of lists
        return MissingError(
            f"{told}: {file.name} is no whole GGUF file ({type(broken).__name__} while its "
            f"{file.stat().st_size:,} bytes were read). It is truncated or damaged: download it again."
        )
    if _count(fields, "split.count") > 1:
        return MissingError(
            f"{told}: {file.name} is one of several files of a model. Join them first (llama-gguf-split --merge)."
        )
    architecture = _text(fields, "general.architecture") or "none"
    if "tokenizer.ggml.tokens" not in fields:
        return MissingError(
            f"{told}: {file.name} carries no tokenizer, so no text can be given to it. Convert the model again with "
            "its tokenizer files beside it."
        )
    return UsageError(
        f"{told}: transformers cannot run this GGUF file of the architecture {architecture!r} ({first}). Install a "
        f"newer transformers, or give the model's original folder. {_BY_SERVER}"
    )


def _version(four: bytes) -> str:
    """Of a file that is of no version that is read; a number that is large has its bytes in the other order."""
    little, big = int.from_bytes(four, "little"), int.from_bytes(four, "big")
    if little <= big:
        return f"of version {little} of the GGUF format"
    return f"a big-endian GGUF file (version {big})"


def _fields(file: Path) -> Any:
    """The file's metadata; reading them walks over the places of all weights too, so a file cut short shows."""
    from gguf import GGUFReader

    return GGUFReader(file).fields


def _count(fields: Any, name: str) -> int:
    field = fields.get(name)
    return 0 if field is None else int(field.contents())


def _text(fields: Any, name: str) -> str:
    field = fields.get(name)
    return "" if field is None else str(field.contents())
