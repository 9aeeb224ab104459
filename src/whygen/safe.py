"""Texts of strangers made fit to be shown and kept: nothing in them commands a terminal, and no key stands in them.

What a server, a function or a plug-in says ends up in an error, a report or a file. Errors and failures pass through
`clean` by themselves; answers are scrubbed where they arrive.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

_KEPT: Final = frozenset("\n\t\u200c\u200d")
"""Line ends, tabs, and the two joiners that emoji and many scripts need."""
_LINES: Final = {ord(character): None for character in _KEPT}
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories of characters that show nothing or reorder others."""
TELLTALE: Final = 8
"""A shorter key is a stand-in such as "none", and would be found in half of all texts."""
STAND_IN: Final = "[key]"
_SECRET_NAMES = re.compile(r"(?i)(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$")
_PARAMETER = r"(?:api[-_]?key|subscription[-_]key|key|(?:access[-_]?)?token|sig|signature|passw(?:or)?d|pwd|secret)"
_UNLOCKS = (
    r"(?:passw(?:or)?d|passphrase|passwort|kennwort|mot\s?de\s?passe|contraseña|senha|пароль|"
    r"密码|密碼|パスワード|비밀번호|رمز عبور|گذرواژه)"
)
"""What people and files call a password: English, German, French, Spanish, Portuguese, Russian, Chinese and so on."""
_HELD = (
    r"(?:api|access|account|private|signing|encryption|master|secret)[-_ ]?key|secret[-_ ]access[-_ ]key|secret|"
    r"(?:access|auth|bearer|refresh|session|secret|security|api|bot)[-_ ]?token"
)
_QUOTE = r"\\{0,3}[\"']?"
_VALUE = r"(?!https?:|[\[{<$%*])(?=[^\s\"'\\,;<>]{0,64}\d)(?=[^\s\"'\\,;<>]{0,64}[^\W\d_])[^\s\"'\\,;<>]{6,4096}"
"""What no word of a sentence looks like: letters and digits in one, and no address or place-holder."""
_NAMED: Final = (
    (re.compile(rf"(?i)((?:{_UNLOCKS}|{_HELD}){_QUOTE}\s{{0,4}}[:=\uff1a]\s{{0,4}}{_QUOTE}){_VALUE}"), r"\1[key]"),
    (re.compile(rf"(?i)({_UNLOCKS}\s(?:is|ist|lautet|est|es|=)\s{_QUOTE}){_VALUE}"), r"\1[key]"),
)
"""What stands behind a name for a secret."""
_NAMES: Final = (
    "pass",
    "kennwort",
    "contraseña",
    "senha",
    "key",
    "secret",
    "token",
    "пароль",
    "密",
    "パス",
    "비밀",
    "رمز",
    "گذر",
)
"""One of them stands in each of those names: most texts hold none, and need not be gone over for it."""
_PATTERNS: Final = (
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{1,16384}(?:-----END [A-Z ]{0,40}-----)?"), STAND_IN),
    (re.compile(r"(?i)(\bauthorization['\"]?\s{0,4}[:=]\s{0,4}['\"]?(?:bearer|basic)\s)[^\s'\",}\[]{6,}"), r"\1[key]"),
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)(?=[^\s'\",}]*[\d._=+/-])[^\s'\",}]{6,}"), r"\1[key]"),
    (
        re.compile(r"(?i)((?:x-api-key|api[-_]key|authorization)['\"]?\s*[:=]\s*['\"]?)(?!bearer|basic)[^\s'\",}&]+"),
        r"\1[key]",
    ),
    # User and password of an address. A password may hold a slash, and what follows a port is no password.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s'\"<>/?#]{0,512}@"), r"\1"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s'\"<>/@:]{0,256}:(?!\d+\b)[^\s'\"<>@]{0,256}@"), r"\1"),
    (re.compile(r"(?<![\w@/.])[\w.%+~-]{1,256}:[^\s/@'\"<>]{1,256}@(?=[\w\[])"), ""),
    (re.compile(rf"(?i)([?&;]{_PARAMETER}=)[^&#\s'\"<>;]+"), r"\1[key]"),
    (re.compile(r"\b(?:gsk_|xai-|hf_|gh[pousr]_|github_pat_|glpat-|pplx-|r8_|nvapi-|fw_|AIza)[\w-]{20,}"), STAND_IN),
    (re.compile(r"\b(?:[sr]k_(?:live|test)_|whsec_|xox[a-z]-|xapp-|npm_|pypi-|dop_v1_|shpat_)[\w-]{16,}"), STAND_IN),
    (re.compile(r"\b(?:ya29\.|SG\.)[\w.-]{20,}"), STAND_IN),
    (re.compile(r"\bA(?:KI|SI)A[A-Z0-9]{16}\b"), STAND_IN),
    (re.compile(r"\bsk-[\w*-]{6,}"), STAND_IN),
    (re.compile(r"\beyJ[\w-]{8,4096}\.[\w-]{8,4096}\.[\w-]*"), STAND_IN),
)
"""What looks like a key, a header or an address with one.

No pattern looks further ahead than a bound: a long text of a stranger would be gone over anew from each of its places.
"""


def visible(text: str) -> str:
    """The text with every character that shows nothing or reorders others replaced by a name.

    Escape becomes ``⟨U+001B⟩``, a right-to-left override ``⟨U+202E⟩``, half a surrogate pair ``⟨U+D800⟩``. Applying
    it twice changes nothing more.
    """
    # What can be printed hides nothing; lines and spaces that are not the plain one are looked at one by one.
    if text.isprintable() or text.translate(_LINES).isprintable():
        return text
    return "".join(_seen(character) for character in text)


def _seen(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"\u27e8U+{ord(character):04X}\u27e9"


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without the keys of the environment, and without anything that looks like one.

    Args:
        text: of a server, a function, a library.
        environment: the process's own unless given.
    """
    known: Mapping[str, str] = os.environ if environment is None else environment
    for name, value in known.items() if len(text) >= TELLTALE else ():
        if len(value) >= TELLTALE and value in text and _SECRET_NAMES.search(name):
            text = text.replace(value, STAND_IN)
    lower = text.lower()
    for pattern, instead in (*_NAMED, *_PATTERNS) if any(name in lower for name in _NAMES) else _PATTERNS:
        text = pattern.sub(instead, text)
    return text


SECRETS: Final = re.compile(
    r"(?i)(?:proxy-)?authorization|cookie|(?:[\w-]*[-_])?api[-_]?key|password|"
    r"(?:[\w-]*[-_])?(?:access|auth|authorization|bearer|refresh|session|secret|security|api)[-_]?token|"
    r"(?:[\w-]*[-_])?(?:client[-_]?secret|secret[-_]?(?:access[-_]?)?key|private[-_]?key|connection[-_]?string)"
)
"""Names under which JSON holds a secret."""
_LOCKED: Final = re.compile(r"(?i)auth(?:entication|orization)?|credentials?")
_OPENS: Final = frozenset({"key", "value", "token"})


def is_secret(name: str, inside: str = "") -> bool:
    """Whether JSON holds a secret under a name: by itself, or as what opens an object that is called credentials."""
    opens = name.lower() in _OPENS and _LOCKED.fullmatch(inside) is not None
    return opens or SECRETS.fullmatch(name) is not None


def without_keys(value: Any) -> Any:
    """A JSON value as it may be written down: what is named as a secret, or looks like one, is a stand-in.

    Services take keys in further settings and in the definitions of tools. They are sent, and decide no answer.
    """
    # Every request of a run is named by what this leaves: the environment is gone over once, and not for each text.
    return _without_keys(
        value, cache(lambda: {key: each for key, each in os.environ.items() if _SECRET_NAMES.search(key)})
    )


def _without_keys(value: Any, environment: Callable[[], Mapping[str, str]], under: str = "") -> Any:
    if isinstance(value, str):
        return without_secrets(value, environment())
    if isinstance(value, Mapping):
        inside = cast("Mapping[str, Any]", value)
        return {
            name: STAND_IN
            if isinstance(each, str) and is_secret(name, under)
            else _without_keys(each, environment, name)
            for name, each in inside.items()
        }
    if isinstance(value, list | tuple):
        return [_without_keys(each, environment) for each in cast("Sequence[Any]", value)]
    return value


DEEPEST: Final = 100
"""Levels of JSON that are read: what follows a value downwards must not run out of stack."""


def read_json(text: str | bytes) -> Any:
    """The JSON value in a text of a stranger.

    Raises:
        ValueError: if it is no JSON, or nested deeper than `DEEPEST`.
    """
    try:
        found: object = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    opening = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if sum(text.count(each) for each in opening) > DEEPEST:  # type: ignore[arg-type]
        check_depth(found)
    return found


def check_depth(value: object) -> None:
    """Refuse a JSON value that is nested deeper than `DEEPEST`.

    Raises:
        ValueError: if it is.
    """
    level: list[object] = [value]
    for _ in range(DEEPEST + 1):
        if not level:
            return
        level = [each for outer in level for each in _inside(outer) if isinstance(each, dict | list)]
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


LONGEST_SAID: Final = 500
"""Characters of an error of called code that are kept: some quote all they were given."""


def says(error: BaseException) -> str:
    """What an error of called code is and says, cut where it is long; the text of some cannot be had."""
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be shown)"
    cut = text if len(text) <= LONGEST_SAID else f"{text[: LONGEST_SAID - 1]}…"
    return f"{type(error).__name__}: {cut}" if cut else type(error).__name__


def is_stop(error: BaseException) -> bool:
    """Whether what called code ended with is a person's interrupt; whatever else it is, that code has failed.

    Some libraries end tasks and tests with errors that are no `Exception`; one that calls `sys.exit` ends no run.
    """
    inside = cast("BaseExceptionGroup[BaseException]", error)
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_stop, inside.exceptions))
    return isinstance(error, KeyboardInterrupt)


def clean(text: str) -> str:
    """Both: what an error or a failure may say."""
    return visible(without_secrets(text))
