"""Makes the samples of simonw/llm's log, as SQL, in an environment with ``llm`` (of today, or one before turns).

The command line asks with a picture and two tools, and once more in the same conversation. Run from the folder of the
project: ``python -m tests.records.make_llm NAME``, where NAME is ``llm_turns`` or ``llm_responses`` (0.27).
"""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.records.conversation import ASKED, MAIL, SYSTEM, agent_answers, picture
from tests.records.loopback import serving

SAMPLES = Path(__file__).parent / "samples"
TABLES = (
    "conversations", "attachments", "prompt_attachments", "schemas", "responses", "fragments", "prompt_fragments",
    "system_fragments", "tools", "tool_responses", "tool_calls", "tool_results", "messages", "parts",
    "part_attachments", "part_fragments", "turns", "turn_tools",
)  # fmt: skip
"""Those that hold what was said; the others are for searching."""


def main(name: str) -> None:
    """Make one sample."""
    with tempfile.TemporaryDirectory() as home, serving(*agent_answers()) as server:
        folder = Path(home)
        (folder / "extra-openai-models.yaml").write_text(
            f"- model_id: loop\n  model_name: gpt-4o-mini\n  api_base: {server.url}/v1\n  vision: true\n"
            "  supports_tools: true\n  can_stream: false\n"
        )
        (folder / "tools.py").write_text(
            f'def read_mail(number: int) -> str:\n    "Reads a mail."\n    return {MAIL!r}\n\n'
            'def send_email(to: str, body: str) -> str:\n    "Sends a mail."\n    return "sent"\n'
        )
        (folder / "red.png").write_bytes(base64.b64decode(picture()))
        common = ["--no-stream", "--key", "sk-not-a-real-key-0123456789"]
        with (folder / "red.png").open("rb") as image:
            run(home, ["-m", "loop", "-s", SYSTEM, "-a", "-", "--functions", str(folder / "tools.py"),
                       "-o", "temperature", "0.2", *common, ASKED], stdin=image)  # fmt: skip
        run(home, ["-c", *common, "And now?"])
        dump(folder / "logs.db", name)


def run(home: str, arguments: list[str], stdin: object = subprocess.DEVNULL) -> None:
    """Ask once."""
    llm = str(Path(sys.executable).parent / "llm")
    environment = {**os.environ, "LLM_USER_PATH": home}
    subprocess.run([llm, "prompt", *arguments], env=environment, stdin=stdin, check=True)  # type: ignore[call-overload]


def dump(database: Path, name: str) -> None:
    """The tables of the log as SQL, without their indexes for searching."""
    connection = sqlite3.connect(database)
    lines: list[str] = []
    for table in TABLES:
        query = "select sql from sqlite_master where type = 'table' and name = ?"
        found = connection.execute(query, (table,)).fetchone()
        if found is not None:
            lines.append(f"{found[0]};")
            rows = connection.execute(f'select * from "{table}"')  # noqa: S608
            for row in rows.fetchall():
                values = [connection.execute("select quote(?)", (value,)).fetchone()[0] for value in row]
                lines.append(f'insert into "{table}" values ({", ".join(values)});')  # noqa: S608 - it is to be SQL
    connection.close()
    (SAMPLES / f"{name}.sql").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
