"""What services say of used-up quotas, and how it is told: of which kind a failure is decides whether a run waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from whygen.models.openai.text import finish_of
from whygen.remote.failures import from_status
from whygen.remote.service import Service
from whygen.types import Failure

SERVICE = Service(name="openai", base_url="http://127.0.0.1:9/v1", key="sk-none")
DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
SLIDING = "Rate limit reached on requests per day (RPD): Limit 200, Used 200. Please try again in 7m12s."


def failed(status: int, body: Any, **headers: str) -> Failure:
    return from_status(status, headers, json.dumps(body), SERVICE)


@pytest.mark.parametrize(
    ("body", "headers", "kind"),
    [
        ([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded for metric 'Generate "
                     "requests per day' and limit 'free'"}}], {}, "fatal"),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "Retry in 21s.", "details": [{}, DAY]}}, {}, "fatal"),
        ({"error": {"message": "Daily token limit reached", "type": "tokens"}}, {}, "fatal"),
        ({"error": {"message": "Monthly limit of the free plan reached"}}, {}, "fatal"),
        ({"error": {"message": SLIDING, "code": "rate_limit_exceeded"}}, {}, "rate_limit"),
        ({"error": {"message": "Limit of requests per day"}}, {"retry-after": "20"}, "rate_limit"),
        ({"error": {"message": "Limit of requests per minute"}}, {}, "rate_limit"),
    ],
)  # fmt: skip
def test_a_quota_of_a_day_ends_a_run_and_one_that_comes_back_does_not(
    body: object, headers: dict[str, str], kind: str
) -> None:
    assert failed(429, body, **headers).kind == kind


def test_who_has_no_credit_is_sent_to_the_server_that_was_asked() -> None:
    assert "top it up at http://127.0.0.1:9" in failed(402, {"error": {"message": "No credit."}}).advice


@pytest.mark.parametrize(
    ("message", "said"), [("It broke.", "It broke."), ("It broke", "It broke."), ("Why?", "Why?"), ("a… ", "a…")]
)
def test_a_failure_is_told_in_sentences_with_one_full_stop_each(message: str, said: str) -> None:
    assert Failure(kind="permanent", message=message).sentence == said
    assert Failure(kind="permanent", message=message, advice="Mend it.").sentence == f"{said} Mend it."


@pytest.mark.parametrize("reason", ["content_filter", "content_filter: SAFETY", "Content_Filter:recitation"])
def test_a_filter_that_names_itself_is_a_refusal(reason: str) -> None:
    assert finish_of({"finish_reason": reason}) == "refused"
    assert finish_of({"finish_reason": "stop: eos"}) == "stop"
