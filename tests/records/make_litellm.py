"""Makes the sample of a call that litellm logged (its standard payload), in an environment with ``litellm``.

Run from the folder of the project: ``python -m tests.records.make_litellm``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from tests.records.conversation import openai_answer, openai_request
from tests.records.loopback import serving

SAMPLES = Path(__file__).parent / "samples"


class Keep(CustomLogger):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[dict[str, Any]] = []

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.kept.append(kwargs["standard_logging_object"])


def main() -> None:
    """Make the sample."""
    keep = Keep()
    litellm.callbacks = [keep]
    request = openai_request()
    name = request.pop("model")
    with serving(openai_answer()) as server:
        litellm.completion(
            model=f"openai/{name}", api_base=f"{server.url}/v1", api_key="sk-not-a-real-key-0123456789", **request
        )
    while not keep.kept:
        time.sleep(0.1)
    kept = {name: value for name, value in keep.kept[0].items() if name != "model_map_information"}  # prices
    text = json.dumps(kept, indent=1, default=str).replace(server.url, "http://127.0.0.1:8000")
    (SAMPLES / "litellm.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
