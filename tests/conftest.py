"""Every test runs with a scrubbed environment and a cache of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("fast", settings.get_profile("house"), max_examples=10)
settings.register_profile("thorough", settings.get_profile("house"), max_examples=300)
settings.load_profile("house")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

_OURS = ("WHYGEN_", "OPENAI_", "ANTHROPIC_", "HF_TOKEN")


@pytest.fixture(autouse=True, scope="session")
def _nobodys_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a whole module's fixtures record goes to no person's cache either: they run before those of a test."""
    os.environ["WHYGEN_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key and no setting of the person who runs the tests reaches them; nothing is written outside."""
    for name in list(os.environ):
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WHYGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for tests that are marked ``browser``. It ends with its file: no event loop may run beside it."""
    if CHROMIUM is None:
        pytest.skip("needs a Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()
