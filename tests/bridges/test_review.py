"""`whygen review` on a real git repository, and its comment at a server that speaks GitHub's API for comments."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Generator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from action_runner import Runner
from whygen.bridges.review.changes import Repository, prompt_of
from whygen.bridges.review.comment import MARK, MOST_CHARACTERS, comment, quoted
from whygen.bridges.review.explaining import Review, ReviewedPrompt, review
from whygen.bridges.review.github import PullRequest
from whygen.cli.app import app
from whygen.errors import DataError, MissingError, UsageError, WhygenError
from whygen.types import Chat

TOKEN = "ghs_not0a0real0token0123456789abcdef"  # noqa: S105
HOSTILE = "@maintainer <script>alert(1)</script> `x` [a](http://evil.example) | | \n# --> <!-- **b** #12 \x1b[2J \u202e"


class Repo:
    """A git repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        environment = {
            **os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": os.devnull,
        }  # fmt: skip
        done = subprocess.run(["git", *arguments], cwd=self.folder, env=environment, capture_output=True, text=True,
                              check=True)  # fmt: skip
        return done.stdout.strip()

    def commit(self, **files: str | None) -> str:
        """Write files by their name with ``__`` for a slash and ``_`` for a dot, and commit."""
        for name, text in files.items():
            path = self.folder / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit(
        prompts__clerk_txt="You are a clerk. Grant every refund. Be short.", prompts__old_txt="Say yes. Say no.",
        prompts__same_txt="Nothing changes. Nothing at all.", README_md="x",
    )  # fmt: skip
    made.git("checkout", "-q", "-b", "feature")
    made.commit(
        prompts__clerk_txt="You are a clerk. Grant no money. Be short. Ask for the receipt.", prompts__old_txt=None,
        prompts__new_json=json.dumps([{"role": "system", "content": "Grant every refund. Be kind."}]), README_md="y",
    )  # fmt: skip
    made.git("checkout", "-q", "main")
    made.commit(prompts__same_txt="Main moved on. Nothing at all.")
    return made


asked: list[object] = []


def clerk(prompt: object) -> str:
    asked.append(prompt)
    text = prompt if isinstance(prompt, str) else str(prompt)
    return "yes" if "every refund" in text else "receipt" if "receipt" in text else "no"


def test_what_a_branch_changes_is_explained_before_and_after(repo: Repo, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "model": clerk, "patterns": ["prompts/*"], "target": "exact", "budget": 24, "cache": tmp_path / "calls.sqlite",
    }  # fmt: skip
    found = review(Repository(repo.folder), "main", "feature", **given)
    assert [(each.change.path, each.change.state) for each in found.prompts] == [
        ("prompts/clerk.txt", "changed"), ("prompts/new.json", "added"), ("prompts/old.txt", "gone"),
    ]  # fmt: skip
    changed = found.prompts[0]
    assert changed.before is not None
    assert changed.before.reference.text == "yes"
    assert changed.comparison is not None
    assert changed.comparison.only_second == ("Grant no money.", "Ask for the receipt.")
    assert found.prompts[1].before is None
    text = comment(found)
    assert text.startswith(MARK)
    assert "### 3 changed prompts: 1 new part matters and 1 part that mattered is gone." in text
    assert "Answer before: <code>yes</code>" in text
    assert re.search(r"Grant every refund&#46;</code> \| 1\.00 .*gone, significant", text)


def shopkeeper(prompt: object) -> str:
    text = str(prompt)
    told = [
        "Thank you.",
        "A refund comes soon." if "refund" in text else "",
        "Yours, the shop." if "formal" in text else "",
    ]
    return " ".join(filter(None, told))


def test_a_difference_lies_in_its_interval_where_the_answer_changed(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "shop")
    before = repo.commit(prompts__shop_txt="You are a clerk. Be formal. Give a refund.")
    after = repo.commit(prompts__shop_txt="You are a clerk. Be brief. Give a refund.")
    text = comment(review(
        Repository(repo.folder), before, after, model=shopkeeper, patterns=["prompts/*"], target="tfidf", cache=None
    ))  # fmt: skip
    rows = re.findall(r"\| ([+\u2212]?[\d.]+) \(([+\u2212]?[\d.]+) to ([+\u2212]?[\d.]+)\) \|  \|", text)
    shared = [[float(each.replace("\u2212", "-")) for each in row] for row in rows]
    assert len(shared) >= 2  # one that is gone has its interval, too
    assert all(low - 0.01 <= middle <= high + 0.01 for middle, low, high in shared)
    assert "Differences are measured against both answers" in text


def test_nothing_is_paid_twice(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo.folder)
    (tmp_path / "review_models.py").write_text(
        "import pathlib\n\ndef clerk(prompt):\n    with (pathlib.Path(__file__).parent / 'asked').open('a') as f:\n"
        "        f.write('.')\n    return 'yes' if 'every refund' in str(prompt) else 'no'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    line = ["review", "main", "feature", "--model", "py/review_models:clerk", "--prompts", "prompts/*.txt", "--target",
            "exact", "--budget", "24", "--cache", str(tmp_path / "calls.sqlite"),
            "-o", str(tmp_path / "comment.md")]  # fmt: skip
    first = CliRunner().invoke(app, line)
    assert first.exit_code == 0, first.output
    once = len((tmp_path / "asked").read_text())
    assert once > 0
    again = CliRunner().invoke(app, line)
    assert len((tmp_path / "asked").read_text()) == once
    assert "of which 0 had to be asked for" in again.stdout
    assert (tmp_path / "comment.md").read_text() == again.stdout


def test_over_inputs_both_sides_answer_the_same_ones(repo: Repo) -> None:
    found = review(
        Repository(repo.folder), "main", "feature", model=clerk, patterns=["prompts/clerk.txt"], target="exact",
        inputs=["A coat, please.", "A hat, please.", "Shoes!"], cache=None, budget=90,
    )  # fmt: skip
    assert found.prompts[0].after is not None
    assert len(found.prompts[0].after.inputs) == 3
    assert "Answer before" not in comment(found)


def test_a_repository_runs_nothing_and_shows_nothing_but_its_prompts(repo: Repo, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    secret = tmp_path / "secret.txt"
    secret.write_text("the key")
    repo.git("checkout", "-q", "feature")
    (repo.folder / "prompts" / "link.txt").symlink_to(secret)
    repo.commit(_gitattributes="prompts/*.txt diff=evil filter=evil\n", prompts__big_txt="x. " * 200_000,
                prompts__latin_txt="plain. text.", prompts__path_json=json.dumps(
                    [{"role": "user", "content": "Look.", "images": [str(secret)]}]))  # fmt: skip
    for name in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.smudge"):
        repo.git("config", name, str(program))
    found = review(
        Repository(repo.folder), "main", "feature", model=clerk, patterns=["prompts/*"], target="exact", budget=24,
        cache=None,
    )  # fmt: skip
    errors = {each.change.path: each.error for each in found.prompts if each.error}
    assert set(errors) == {"prompts/link.txt", "prompts/big.txt", "prompts/path.json"}
    assert not ran.exists()
    assert "the key" not in comment(found)


@pytest.mark.parametrize("name", ["--output=x", "nowhere", "main:README.md", ""])
def test_what_is_no_commit_is_refused(repo: Repo, name: str) -> None:
    with pytest.raises(MissingError, match="no commit"):
        Repository(repo.folder).commit(name)
    assert not (repo.folder / "x").exists()


def test_a_folder_without_a_repository_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        Repository(tmp_path).commit("main")


@pytest.mark.parametrize("text", ["[]", "{}", "nothing", '[{"role": "tool", "content": "x"}]', '[{"role": "user"}]'])
def test_chats_that_are_more_than_texts_are_refused(text: str) -> None:
    with pytest.raises(DataError):
        prompt_of(text, "a.json")
    assert isinstance(prompt_of('[{"role": "user", "content": "x"}]', "a.json"), Chat)


class _Tags(HTMLParser):
    """The tags of a page, and its text outside of ``code``."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside = ""
        self.inside = ""
        self._in_code = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self._in_code += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._in_code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.inside += data
        else:
            self.outside += data


def rendered(markdown: str) -> _Tags:
    """As GitHub reads it: tables, and HTML let through."""
    found = _Tags()
    found.feed(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown))
    return found


@given(st.text(st.characters(codec=None), max_size=60) | st.just(HOSTILE))
def test_a_quoted_text_leaves_its_place_nowhere(text: str) -> None:
    row = f"| {quoted(text)} | 1 |"
    page = rendered(f"| a | b |\n|---|---|\n{row}")
    assert page.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "code", "td"]
    assert page.outside.split() == ["a", "b", "1"]
    alone = rendered(f"#### {quoted(text)} is new")
    assert alone.tags == ["h4", "code"]
    assert alone.outside.strip() == "is new"


def test_a_comment_of_hostile_prompts_is_bounded_and_quotes_all_of_them(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.commit(a_txt="One. Two.")
    words = ". ".join(f"{HOSTILE} {number} {'y' * 200}" for number in range(20))
    repo.commit(**{f"a{number}_txt": f"{words}. End {number}." for number in range(9)})
    found = review(
        Repository(repo.folder), "HEAD~1", "HEAD", model=lambda _: HOSTILE, patterns=["*.txt"], target="exact",
        budget=64, cache=None, most=3,
    )  # fmt: skip
    text = comment(found)
    assert "6 more prompts changed" in text
    page = rendered(text)
    assert {"script", "a", "strong", "img"} & set(page.tags) == set()
    assert "@" not in page.outside
    assert "evil" not in page.outside
    many = Review(base="a" * 40, head="b" * 40, prompts=tuple(ReviewedPrompt(
        change=found.prompts[0].change, after=found.prompts[0].after) for _ in range(60)))  # fmt: skip
    assert len(comment(many)) <= MOST_CHARACTERS
    assert "no room" in comment(many)


class GitHub(ThreadingHTTPServer):
    """GitHub's API as far as comments of an issue go; with comments of others that hold the mark."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        people = [{"id": n, "body": f"comment {n}", "user": {"type": "User"}} for n in range(1, 150)]
        people[7]["body"] = f"{MARK} mine now"
        self.comments: list[dict[str, Any]] = people
        self.requests: list[tuple[str, str, str]] = []
        self.busy = 0
        self.code = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: GitHub

    def reply(self, code: int, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response(code)
        if code == 302:
            self.send_header("location", f"{self.server.url}/elsewhere")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_all(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.requests.append((self.command, self.path, self.headers["authorization"]))
        if self.server.busy or self.server.code:
            self.server.busy = max(0, self.server.busy - 1)
            return self.reply(self.server.code or 503, {})
        found = re.fullmatch(r"/repos/o/r/issues/(\d+)/comments(?:\?per_page=100&page=(\d+))?", self.path)
        if found and self.command == "GET":
            page = int(found[2])
            return self.reply(200, self.server.comments[100 * (page - 1) : 100 * page])
        if found and self.command == "POST":
            made = {"id": 1000, "user": {"type": "Bot"}, "html_url": "https://x/1000", **json.loads(body)}
            self.server.comments.append(made)
            return self.reply(201, made)
        found = re.fullmatch(r"/repos/o/r/issues/comments/(\d+)", self.path)
        if found and self.command == "PATCH":
            one = next(each for each in self.server.comments if each["id"] == int(found[1]))
            one.update(json.loads(body))
            return self.reply(200, one)
        return self.reply(404, {})

    do_GET = do_POST = do_PATCH = handle_all  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def github() -> Generator[GitHub, None, None]:
    made = GitHub()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def test_one_comment_is_written_and_written_anew(github: GitHub) -> None:
    place = PullRequest.named("o/r#5", {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": github.url})
    github.busy = 1
    assert place.write(f"{MARK}\nfirst") == "https://x/1000"
    place.write(f"{MARK}\nsecond")
    own = [each for each in github.comments if each["user"]["type"] == "Bot"]
    assert [each["body"] for each in own] == [f"{MARK}\nsecond"]
    assert github.comments[7]["body"] == f"{MARK} mine now"
    assert {each[2] for each in github.requests} == {f"Bearer {TOKEN}"}
    assert TOKEN not in repr(place)


@pytest.mark.parametrize("code", [302, 401, 403, 404])
def test_a_refusal_is_said_and_a_token_follows_no_redirect(github: GitHub, code: int) -> None:
    github.code = code
    place = PullRequest.named("o/r#5", {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": github.url})
    with pytest.raises(WhygenError, match=f"{code}.*pull-requests: write") as refused:
        place.write("x")
    assert TOKEN not in str(refused.value)
    assert [path for _, path, _ in github.requests] == ["/repos/o/r/issues/5/comments?per_page=100&page=1"]


HERE = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_action_runs_in_a_fresh_checkout_and_pays_for_nothing_twice(
    repo: Repo, github: GitHub, tmp_path: Path
) -> None:
    """All steps of action.yml as GitHub's runner does them: install, restore, fetch, review, and again on a push."""
    action, models, asked_of = tmp_path / "action", tmp_path / "models", tmp_path / "asked.txt"
    listed = subprocess.run(["git", "ls-files", "src", "*.toml", "*.yml", "*.md", "LICENSE", "NOTICE"], cwd=HERE,
                            capture_output=True, text=True, check=True)  # fmt: skip
    for name in listed.stdout.split():
        (action / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / name, action / name)
    models.mkdir()
    (models / "review_models.py").write_text(
        f"def clerk(prompt):\n    open({str(asked_of)!r}, 'a').write('.')\n"
        "    return 'yes' if 'every refund' in str(prompt) else 'no'\n"
    )
    origin = tmp_path / "origin.git"
    repo.git("clone", "-q", "--bare", str(repo.folder), str(origin))
    base, head = repo.git("rev-parse", "main"), repo.git("rev-parse", "feature")
    inputs = {"model": "py/review_models:clerk", "prompts": "prompts/*.txt\n\nother/*; touch ran", "target": "exact",
              "budget": "24", "extras": ""}  # fmt: skip
    jobs: list[Runner] = []
    for run_id in ("1", "2"):
        work = tmp_path / f"work-{run_id}"
        repo.git("clone", "-q", str(origin), str(work))
        subprocess.run(["git", "checkout", "-q", base], cwd=work, check=True)
        job = Runner(
            action=action, workspace=work, inputs=inputs, home=tmp_path / f"home-{run_id}", kept=tmp_path / "kept",
            event={"pull_request": {"number": 5, "base": {"sha": base}, "head": {"sha": head}}}, run_id=run_id,
            env={"JOB_TOKEN": TOKEN, "GITHUB_API_URL": github.url, "PYTHONPATH": str(models), "OMP_NUM_THREADS": "1",
                 "WHYGEN_CACHE_DIR": str(tmp_path / f"cache-{run_id}")},
        )  # fmt: skip
        job.run()
        jobs.append(job)
        assert (job.home / "python" / "bin" / "whygen").exists()
        assert (job.home / "summary.md").read_text() == github.comments[-1]["body"]
        assert not (work / "ran").exists()
        assert not any(TOKEN in said for said in job.said)
        if run_id == "1":
            paid = len(asked_of.read_text())
    own = [each for each in github.comments if each["user"]["type"] == "Bot"]
    assert len(own) == 1
    assert "prompts&#47;clerk&#46;txt" in own[0]["body"]
    assert len(asked_of.read_text()) == paid > 10


def test_the_pull_request_of_a_workflow_is_found_in_its_event(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 12}}))
    known = {"GITHUB_TOKEN": TOKEN, "GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": "o/r"}
    found = PullRequest.named("", known)
    assert (found.repository, found.number, found.api) == ("o/r", 12, "https://api.github.com")
    event.write_text("{}")
    with pytest.raises(MissingError, match="no pull request"):
        PullRequest.named("", known)
    with pytest.raises(MissingError, match="GITHUB_TOKEN"):
        PullRequest.named("o/r#1", {})
    for wrong in ("o/r", "o/r#0", "../x#1", "o/r#1/../2"):
        with pytest.raises(UsageError, match="no pull request"):
            PullRequest.named(wrong, known)
    with pytest.raises(UsageError, match="https"):
        PullRequest.named("o/r#1", {**known, "GITHUB_API_URL": "http://api.example.org"})
