"""The one comment of a review on its pull request: found by its mark and written anew, by GitHub's API."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from whygen.bridges.review.comment import MARK
from whygen.errors import MissingError, UsageError, WhygenError
from whygen.records.fields import Field
from whygen.safe import clean, read_json

API: Final = "https://api.github.com"
PAGES: Final = 30
"""Of a hundred comments each, that are searched."""
MOST_BYTES: Final = 8 * 2**20
TRIES: Final = 3
_PLACE = re.compile(r"((?!\.)[A-Za-z0-9_.-]+/(?!\.\.?#)[A-Za-z0-9_.-]+)#([1-9]\d{0,9})")
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request, and how it is reached.

    Attributes:
        repository: ``owner/name``.
        number: of the pull request.
        token: is sent to ``api`` alone, and never shown.
        api: the address of GitHub's API.
    """

    repository: str
    number: int
    token: str = field(repr=False)
    api: str = API

    @classmethod
    def named(cls, place: str, environment: Mapping[str, str] | None = None) -> PullRequest:
        """A pull request as ``owner/name#12``; an empty text is the one that a workflow of GitHub runs for.

        Args:
            place: which.
            environment: holds ``GITHUB_TOKEN``, and in workflows what they are told; the process's own unless given.

        Raises:
            UsageError: if it is no such name, or the API's address is not safe.
            MissingError: if there is no token, or the workflow is for no pull request.
        """
        known = os.environ if environment is None else environment
        place = place or _of_workflow(known)
        found = _PLACE.fullmatch(place)
        if found is None:
            raise UsageError(f"{place!r} is no pull request: write owner/name#12.")
        token = known.get("GITHUB_TOKEN", "")
        if not token:
            raise MissingError("A comment needs GITHUB_TOKEN in the environment (permission pull-requests: write).")
        api = known.get("GITHUB_API_URL", API).rstrip("/")
        parts = urlsplit(api)
        if parts.scheme != "https" and parts.hostname not in _HERE:
            raise UsageError(f"GITHUB_API_URL is {clean(api)!r}: a token goes to https addresses alone.")
        return cls(found[1], int(found[2]), token, api)

    def write(self, body: str) -> str:
        """Put the comment there, in place of the one that stands there; returns its address.

        Only a comment of a bot that begins with the mark is written anew: anybody may write the mark.

        Raises:
            WhygenError: if GitHub does not take it.
        """
        own = self._own()
        place = f"/repos/{self.repository}/issues"
        if own is None:
            found = self._asked("POST", f"{place}/{self.number}/comments", {"body": body})
        else:
            found = self._asked("PATCH", f"{place}/comments/{own}", {"body": body})
        return found["html_url"].name()

    def _own(self) -> int | None:
        """The number of the comment of an earlier review."""
        for page in range(1, PAGES + 1):
            query = f"/repos/{self.repository}/issues/{self.number}/comments?per_page=100&page={page}"
            found = self._asked("GET", query, None)
            comments = list(found) if found.is_list else []
            for each in comments:
                is_mine = each.at("user", "type").value == "Bot" and each["body"].name_of_data().startswith(MARK)
                if is_mine and (number := each["id"].whole()) is not None:
                    return number
            if len(comments) < 100:
                return None
        return None

    def _asked(self, method: str, path: str, body: object) -> Field:
        """What GitHub answers, asked again where it is busy.

        Raises:
            WhygenError: if it refuses.
        """
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self.api + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}", "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "whygen", "Content-Type": "application/json",
            },
        )  # fmt: skip
        last = ""
        for attempt in range(TRIES):
            time.sleep(attempt)
            try:
                with _OPENER.open(request, timeout=30) as answer:
                    return Field(read_json(answer.read(MOST_BYTES)), "", "GitHub")
            except urllib.error.HTTPError as error:
                last = f"{error.code} {error.reason}"
                if error.code not in (429, 500, 502, 503, 504):
                    break
            except (OSError, HTTPException, ValueError) as error:
                last = str(error)
        raise WhygenError(
            f"GitHub did not take the comment on {self.repository}#{self.number} ({method}: {last}). The token needs "
            "the permission pull-requests: write; pull requests of forks get none."
        )


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is not followed: the token would go along."""

    def redirect_request(self, *given: Any, **more: Any) -> None:
        del given, more


_OPENER: Final = urllib.request.build_opener(_Stay())


def _of_workflow(known: Mapping[str, str]) -> str:
    """The pull request of the event that a workflow runs for.

    Raises:
        MissingError: if it runs for none.
    """
    missing = MissingError("This runs for no pull request of GitHub: name one with --comment owner/name#12.")
    try:
        event = Field(read_json(Path(known.get("GITHUB_EVENT_PATH") or "/nowhere").read_bytes()))
    except (OSError, ValueError):
        raise missing from None
    number = event.at("pull_request", "number").whole()
    if number is None or not known.get("GITHUB_REPOSITORY"):
        raise missing
    return f"{known['GITHUB_REPOSITORY']}#{number}"
