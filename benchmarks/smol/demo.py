"""`make demo-real`: one question, explained through llama.cpp's server and then through ``hf/FILE.gguf``.

Both halves run the same file. The first reads the server's answers; the second the model's own log-probabilities.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import xllamacpp

from benchmarks.smol import model_file

PROMPT = (
    "The museum opens at ten on weekdays. Tickets cost nine euros. The painting of the red fox hangs in room seven. "
    "The cafe closes at four. In which room hangs the painting of the red fox?"
)
_COMMON = ("--units", "sentence", "--budget", "40", "--max-tokens", "24", "--no-cache")


def main() -> None:
    """Run both halves."""
    file = str(model_file())
    server = served(file)
    explain("openai/smollm2", "--base-url", f"{server.listening_address}/v1", "--target", "tfidf")
    explain(f"hf/{file}", "--target", "logprob")


def explain(*about: str) -> None:
    """Show a command, and run it."""
    words = ["prompt", about[0], PROMPT, *about[1:], *_COMMON]
    sys.stdout.write("\n$ whygen " + " ".join(repr(word) if " " in word else word for word in words) + "\n")
    sys.stdout.flush()
    subprocess.run([Path(sys.executable).with_name("whygen"), *words], check=True)


def served(file: str) -> xllamacpp.Server:
    """A server with one thread on a free port of this machine; it ends with the object."""
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.n_ctx, params.n_parallel = 4096, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja, params.hostnames, params.port = True, ["127.0.0.1"], 0
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
