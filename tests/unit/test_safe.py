"""Texts of strangers: nothing in them commands a terminal, and no key stands in them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import ModelError, UsageError
from whygen.safe import clean, visible, without_secrets
from whygen.types import Failure

PLANTED = "sk-planted-4f1c9e77ab20"


@given(st.text())
def test_what_is_shown_commands_nothing_and_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"]
    assert visible(shown) == shown
    shown.encode()


@pytest.mark.parametrize(
    "hostile", ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\u202eabc", "\r", "\x7f", "\U000e0041", "\ud800", "\x00"]
)
def test_errors_and_failures_show_control_characters_by_name(hostile: str) -> None:
    for said in (str(ModelError(hostile)), Failure(kind="permanent", message=hostile, advice=hostile).message):
        assert f"U+{ord(hostile[0]):04X}" in said
        assert hostile not in said


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Incorrect API key provided: {PLANTED}.", "Incorrect API key provided: [key]."),
        ("http://me:secret@box.example/v1 is gone", "http://box.example/v1 is gone"),
        ("http://me:pa/ss@box.example/v1", "http://box.example/v1"),
        ("HTTPS://token@box.example/v1", "HTTPS://box.example/v1"),
        ("me:secret@box.example:8000/v1", "box.example:8000/v1"),
        ("https://x.example/v1?api-version=2&api-key=abc", "https://x.example/v1?api-version=2&api-key=[key]"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [key]"),
        ("https://registry:443/pkg@1.0 and me@example.org", "https://registry:443/pkg@1.0 and me@example.org"),
        ("a basic question, and the bearer of news", "a basic question, and the bearer of news"),
        ("**bold***", "**bold***"),
        ("py/module:callable", "py/module:callable"),
    ],
)
def test_what_looks_like_a_key_or_a_password_goes_and_the_rest_stays(said: str, kept: str) -> None:
    assert without_secrets(said, {}) == kept
    assert str(UsageError(said)) == kept


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("DB_PASSWORD=Tr0ub4dor&3", "Tr0ub4dor&3"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"),
        ('{"client_secret": "9f8e7d6c5b4a39281"}', "9f8e7d6c5b4a39281"),
        ('{\\"password\\": \\"hunter2-99\\"}', "hunter2-99"),
        ("The password is hunter2-99, she said.", "hunter2-99"),
        ("Passwort: Geheim-2024!", "Geheim-2024"),
        ("密码：abc12345", "abc12345"),
        ("رمز عبور: abc12345", "abc12345"),
        ("auth_token: 0a1b2c3d4e5f6a7b", "0a1b2c3d4e5f6a7b"),
        ("AccountName=x;AccountKey=Eby8vdM02xNOcq+IFsuFq2U==;EndpointSuffix=c", "Eby8vdM02xNOcq"),
        ("pay by sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
        ("xoxb-2048-123456789012-abcDEFghiJKL", "abcDEFghiJKL"),
        ("ya29.a0AfH6SMBx1234567890abcdefghij", "a0AfH6SMBx"),
        ("ASIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END RSA PRIVATE KEY-----", "MIIEvQIBADANBgkq"),
    ],
)
def test_what_a_tool_read_from_a_file_of_secrets_is_no_secret_any_more(said: str, secret: str) -> None:
    assert secret not in without_secrets(said, {})
    assert "[key]" in without_secrets(said, {})


@pytest.mark.parametrize(
    "said",
    [
        "Your password: must have 8 characters.", "The password is wrong. Try 2 more.", "max_tokens: 16384",
        "next_page_token: abc123def456", "The secret = love", "Secret: the 3 bears", "token: the smallest unit",
        'password = input("Password 1: ")', "def f(password: str, token: int)", '{"password": {"type": "string"}}',
        "reset-password: https://example.org/reset1", "password: {{PASSWORD_1}}", "the sk-learn estimator",
        "secret_santa: Ann4",
    ],
)  # fmt: skip
def test_what_only_speaks_of_passwords_stays(said: str) -> None:
    assert without_secrets(said, {}) == said


def test_keys_of_the_environment_go_whatever_they_look_like() -> None:
    environment = {"MY_BOX_API_KEY": "plain words here", "HOME": "/home/someone", "SHORT_TOKEN": "none"}
    said = "asked with plain words here from /home/someone, none"
    assert without_secrets(said, environment) == "asked with [key] from /home/someone, none"


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
