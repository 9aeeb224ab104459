"""Recorded calls cut into parts: which documents are found by their marks, and how long a long call takes.

Documents of one to four sentences, some with blank lines, are put between an instruction and a question with each sort
of mark; a document counts as found where a part is that document and nothing else. Texts without any document show
how often one is seen where there is none. ``python -m benchmarks units_of_calls``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from benchmarks.planted_calls import planted_call
from whygen.models.registry import load_model
from whygen.prompt.units import ChatUnits, split
from whygen.records import Call
from whygen.results.summary import summarise
from whygen.types import Chat, Message, Request, Tool, ToolCall

SEED, TEXTS = 17, 200
LANGUAGES: dict[str, tuple[str, ...]] = {
    "en": (
        "The fox lives by the harbour.",
        "Rates rose to 4.5% in May.",
        "See section 2: it is short.",
        "Call Ms. Lee.",
    ),
    "fa": ("روباه در بندر زندگی می‌کند.", "نرخ در مه به ۴٫۵٪ رسید.", "بخش ۲ کوتاه است.", "با خانم لی تماس بگیر."),
    "zh": ("狐狸住在港口。", "五月利率升至4.5%。", "见第2节：很短。", "请致电李女士。"),
    "de": (
        "Der Fuchs wohnt am Hafen.",
        "Im Mai stieg der Satz auf 4,5 %.",
        "Abschnitt 2 ist kurz.",
        "Frau Lee anrufen.",
    ),
}
ASK = {
    "en": ("Answer from these only.", "What is the rate?"), "fa": ("فقط از این‌ها پاسخ بده.", "نرخ چیست؟"),
    "zh": ("只根据这些回答。", "利率是多少？"), "de": ("Antworte nur hieraus.", "Wie hoch ist der Satz?"),
}  # fmt: skip
WORD = {"en": "Document", "fa": "سند", "zh": "文档", "de": "Dokument"}

MARKS: dict[str, Callable[[list[str], str], str]] = {
    "xml": lambda docs, _: "\n".join(f'<document index="{i}">\n{d}\n</document>' for i, d in enumerate(docs, 1)),
    "xml in a wrapper": lambda docs, _: "<context>\n" + "\n".join(f"<doc>{d}</doc>" for d in docs) + "\n</context>",
    "[1]": lambda docs, _: "\n".join(f"[{i}] {d}" for i, d in enumerate(docs, 1)),
    "[1], blank lines": lambda docs, _: "\n\n".join(f"[{i}] {d}" for i, d in enumerate(docs, 1)),
    "Document 1:": lambda docs, word: "\n\n".join(f"{word} {i}: {d}" for i, d in enumerate(docs, 1)),
    "### Source": lambda docs, _: "\n\n".join(f"### Source {i}\n{d}" for i, d in enumerate(docs, 1)),
    "Source: file": lambda docs, _: "\n\n".join(f"Source: a{i}.md\n{d}" for i, d in enumerate(docs, 1)),
    "JSON": lambda docs, _: json.dumps([{"text": d} for d in docs], ensure_ascii=False),
    "Context: and a list": lambda docs, _: "Context:\n" + "\n".join(f"- {d}" for d in docs),
    "Context: and paragraphs": lambda docs, _: "Context:\n" + "\n\n".join(docs) + "\n\nQuestion: why?",
    "lines of dashes, around too": lambda docs, _: "\n---\n" + "\n---\n".join(docs) + "\n---\n",
    "lines of dashes, between alone": lambda docs, _: "\n---\n".join(docs),
    "the same, documents of one paragraph": lambda docs, _: "\n---\n".join(docs),
}
ONE_LINE = ("Context: and a list", "Context: and paragraphs", "the same, documents of one paragraph")
"""Marks that cannot hold a blank line, and one that is measured without."""


def _documents(rng: np.random.Generator, language: str, *, blank: bool) -> list[str]:
    """Two to six documents, each with a number of its own so that no two are equal."""
    found: list[str] = []
    for number in range(int(rng.integers(2, 7))):
        sentences = rng.choice(LANGUAGES[language], size=int(rng.integers(1, 5))).tolist()
        between = "\n\n" if blank and rng.random() < 0.3 else " "
        found.append(f"{between.join(sentences)} #{number}")
    return found


def recall() -> dict[str, str]:
    """Documents found, of those that were put in, by sort of mark."""
    rng = np.random.default_rng(SEED)
    counts: dict[str, str] = {}
    for name, mark in MARKS.items():
        hits = total = 0
        for place in range(TEXTS):
            language = list(LANGUAGES)[place % len(LANGUAGES)]
            docs = _documents(rng, language, blank=name not in ONE_LINE)
            text = mark(docs, WORD[language])
            if name != "JSON":
                text = f"{ASK[language][0]}\n\n{text}\n\n{ASK[language][1]}"
            units = split(Chat([Message("user", text)]), "part")
            own = [json.dumps(d, ensure_ascii=False)[1:-1] if name == "JSON" else d for d in docs]
            hits += sum(any(_alone(d, part, own) for part in units.texts) for d in own)
            total += len(docs)
        counts[name] = f"{100 * hits / total:.1f}% of {total}"
    return counts


def _alone(document: str, part: str, all_of_them: list[str]) -> bool:
    """Whether a part holds this document and no other, nor the instruction or the question."""
    asked = [text for pair in ASK.values() for text in pair]
    return document in part and sum(each in part for each in all_of_them) == 1 and not any(a in part for a in asked)


def false_passages() -> dict[str, str]:
    """Texts without documents: pages of documentation and files of source, a message each."""
    root = Path(__file__).parent.parent
    texts = {
        "sentences of four languages": [" ".join(lines) for lines in LANGUAGES.values()],
        "files of source": [path.read_text("utf-8") for path in sorted((root / "src").rglob("*.py"))[:200]],
    }
    found: dict[str, str] = {}
    for name, each in texts.items():
        seen = 0
        for text in each:
            units = split(Chat([Message("user", text), Message("assistant", "Yes."), Message("user", "Go.")]), "part")
            assert isinstance(units, ChatUnits)
            seen += any(section.kind in ("document", "memory", "example") for section in units.named)
        found[name] = f"{seen} of {len(each)}"
    return found


def long_call() -> Chat:
    """A call of 41 messages and about 30,000 tokens."""
    rng = np.random.default_rng(SEED)
    messages = [Message("system", "Be kind. Be brief.\n\n" * 20)]
    for turn in range(13):
        hits = [{"text": " ".join(rng.choice(LANGUAGES["en"], size=11))} for _ in range(20 if turn % 3 == 0 else 8)]
        messages += [
            Message("user", " ".join(rng.choice(LANGUAGES["en"], size=220))),
            Message("assistant", "", calls=(ToolCall("search", json.dumps({"q": f"{turn}"}), f"c{turn}"),)),
            Message("tool", json.dumps(hits), answers=f"c{turn}"),
        ]
    return Chat([*messages, Message("user", "And?")], [Tool("search", "Finds pages."), Tool("send_email", "Sends.")])


def times() -> dict[str, str]:
    """Processor seconds of the parts of an explanation that ask nothing."""
    chat = long_call()
    units = split(chat, "part")
    whygen.forecast("planted/additive", chat, units="part", budget=600, target="token-set")
    taken: dict[str, str] = {
        "messages": f"{len(chat.messages)}", "characters": f"{len(units.text):,}", "parts": f"{len(units)}"
    }  # fmt: skip

    def clocked(name: str, make: Callable[[], object]) -> object:
        begun = time.process_time()
        made = make()
        taken[name] = f"{time.process_time() - begun:.2f} s"
        return made

    clocked("cut into parts", lambda: split(chat, "part"))
    clocked(
        "forecast of 600 calls, by parts",
        lambda: whygen.forecast("planted/additive", chat, units="part", budget=600, target="token-set"),
    )
    found = whygen.explain_prompt("planted/additive", chat, units="part", budget=600, target="token-set", cache=None)
    clocked("summary of the page", lambda: summarise(found))
    taken["page"] = f"{len(found.to_html()) / 2**20:.1f} MiB"
    return taken


def asked_again() -> dict[str, str]:
    """What `whygen why` adds to its 64 calls, where a call of 40 parts, about 30,000 tokens, hangs on a result.

    Processor seconds, those of the planted model taken off; how much longer than the bare calls that is depends on how
    long one takes. What is imported at first use, scikit-learn above all, is paid once a process and told apart.
    """
    rng = np.random.default_rng(SEED)
    planted = planted_call(rng, case="injected", parts=40, language="en")
    filler = " ".join(rng.choice(LANGUAGES["en"], size=125))
    said = planted.chat.messages
    messages = tuple(replace(each, text=f"{each.text}\n{filler}") if each.text else each for each in said)
    call = Call(chat=replace(planted.chat, messages=messages), answer=planted.answer, model="planted/agent")
    whygen.forecast(None, call)  # what is imported at first use
    begun = time.process_time()
    whygen.forecast(None, call)
    forecast = time.process_time() - begun
    taken: list[float] = []
    for _ in range(4):
        begun = time.process_time()
        whygen.explain_prompt(None, call, cache=None, seed=SEED)
        taken.append(time.process_time() - begun)
    first, whole = taken[0], float(np.median(taken[1:]))
    model = load_model("planted/agent")
    begun = time.process_time()
    model.answer([Request(prompt=call.chat) for _ in range(64)])
    bare = time.process_time() - begun
    added = whole - bare
    return {
        "characters": f"{sum(map(len, call.chat.texts)):,}",
        "forecast": f"{forecast:.2f} s",
        "added to 64 calls": f"{added:.2f} s",
        "more where it is the first of a process": f"{first - whole:.2f} s",
        "of bare calls that take .1 s": f"{1 + added / 6.4:.2f}",
        "of bare calls that take 1 s": f"{1 + added / 64:.3f}",
    }


def main(data: Path | None) -> None:
    del data
    found = {
        "recall": recall(), "seen where there is none": false_passages(), "times": times(), "why": asked_again(),
    }  # fmt: skip
    for name, rows in found.items():
        print(name)
        for each, value in rows.items():
            print(f"  {each}: {value}")
    record.write("units_of_calls", found, seed=SEED)
