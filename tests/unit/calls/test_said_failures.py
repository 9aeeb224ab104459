"""What services say of used-up quotas, and how it is told: of which kind a failure is decides whether a run waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from whygen.models.openai.text import finish_of
from whygen.remote.failures import from_inside, from_status, unreachable
from whygen.remote.reading import ErrorInside, refuse_error
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


NOW = "Mon, 30 Nov 2026 07:00:00 GMT"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("1", 1.0), ("1s", 1.0), ("500ms", 0.5), ("PT1M", 60.0), ("1m30s", 90.0), ("1, 1", 1.0), ("7 seconds", 7.0),
        ("1;w=60", 1.0), ("1796022001", 1.0), ("1796022001000", 1.0), ("2026-11-30T07:00:01Z", 1.0),
        ("Mon, 30 Nov 2026 07:00:01 GMT", 1.0), ("soon", None), ("-1", None), ("NaN", None), ("inf", None), ("", None),
        ("9" * 400 + "s", None),
    ],
)  # fmt: skip
def test_when_to_come_back_is_read_in_any_unit(told: str, seconds: float | None) -> None:
    failure = failed(429, {"error": {"message": "Slow down"}}, date=NOW, **{"Retry-After": told})
    assert (failure.kind, failure.retry_after) == ("rate_limit", seconds)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        ({"message": "Limit 3, Used 3. Please try again in 1m30.5s. Visit us."}, 90.5),
        ({"message": "Please retry after 7 seconds."}, 7.0),
        ({"status": "RESOURCE_EXHAUSTED", "details": [{}, {"retryDelay": "21s"}]}, 21.0),
        ({"message": "Please try again later."}, None),
    ],
)
def test_when_to_come_back_is_read_from_the_error_where_no_header_says_it(
    error: dict[str, Any], seconds: float | None
) -> None:
    assert failed(429, {"error": error}).retry_after == seconds
    assert failed(429, {"error": error}, **{"retry-after": "2"}).retry_after == 2.0


def test_amazon_names_an_error_in_a_header() -> None:
    named = {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/coral/"}
    assert failed(400, {"message": None}, **named).kind == "rate_limit"


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("<html><head><title>Just a\n moment &amp; more</title>", "answered 403: a web page, 'Just a moment & more'"),
        ("error code: 1020", "answered 403: error code: 1020"),
        ("<html>Your request was blocked", "answered 403: (a web page instead of JSON)"),
        ("<title>Request blocked \x1b[2J sk-none0123456789</title>", "answered 403: a web page, 'Request blocked"),
    ],
)
def test_a_page_before_the_server_is_named_and_none_of_its_words_are_believed(page: str, shown: str) -> None:
    failure = from_status(403, {}, page, SERVICE)
    assert failure.kind == "permanent"
    assert shown in failure.message
    assert "\x1b" not in failure.sentence
    assert "firewall" in failure.advice


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


def _said(code: int, message: str, /, **about: object) -> tuple[int, dict[str, object]]:
    return code, {"error": {"message": message, **about}}


WORDED = {
    "fatal": {  # a model that is not there, a purse that is empty, a key that is not accepted
        "mistral": _said(400, "Invalid model: mistral-x", type="invalid_request_invalid_model", code="1500"),
        "litellm": _said(400, "Invalid model name passed in model=x. Call `/v1/models` to view", code="400"),
        "bedrock": (400, {"message": "The provided model identifier is invalid."}),
        "bedrock demand": (400, {"message": "Invocation of model ID x with on-demand throughput isn't supported."}),
        "openrouter": _said(400, "x/y is not a valid model ID", code=400),
        "deepseek": _said(400, "Model Not Exist", type="invalid_request_error", code="invalid_request_error"),
        "lm studio": (400, {"error": 'Model "x" is not available'}),
        "zhipu": _said(400, "模型不存在，请检查模型代码。", code="1211"),
        "vertex": (400, [{"error": {"code": 400, "message": "Malformed publisher model `x`"}}]),
        "watsonx": (400, {"errors": [{"code": "model_not_supported", "message": "Not for this environment."}]}),
        "moonshot": _said(429, "Your account x is suspended, please check your plan and billing details"),
        "zhipu purse": _said(429, "余额不足或无可用资源包,请充值。", code="1113"),
        "litellm budget": _said(429, "Budget has been exceeded! Current cost: 10.1", type="budget_exceeded"),
        "anthropic limit": _said(400, "You have reached your specified API usage limits. You will regain access soon"),
        "fireworks": _said(412, "Account x is suspended, possibly due to reaching the monthly spending limit"),
        "groq": _said(400, "Organization `x` has been restricted.", code="organization_restricted"),
        "cohere": (429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month."}),
        "funds": _said(400, "Your account has run out of funds"),
        "korean": (400, {"message": "잔액이 부족합니다"}),
        "german": (400, {"message": "Ihr Guthaben ist aufgebraucht"}),
        "spanish": (400, {"message": "El modelo x no existe"}),
        "french": _said(400, "Le modèle « x » n'existe pas"),
        "japanese": _said(400, "指定されたモデルは存在しません"),
        "place": _said(400, "User location is not supported for the API use.", status="FAILED_PRECONDITION"),
        "country": _said(403, "Country not supported", code="unsupported_country_region_territory"),
        "law": (451, {}),
        "http/2 only": (426, {}),
        "version": (505, {}),
        "azure volume": (403, {"message": "Out of call volume quota. Quota will be replenished in 12 days."}),
        "large M": (400, {"Message": "The provided model identifier is invalid."}),
        "token": (403, {"message": "The security token included in the request is expired"}),
        "proxy": (407, {}),
    },
    "fatal in streams": {
        "alibaba": _said(400, "This model only support stream mode, please enable the stream parameter to access it."),
        "fastapi": (422, {"detail": [{"loc": ["body", "stream"], "msg": "field required"}]}),
    },
    "refused": {
        "policy": _said(400, "It looks suspicious.", code="cyber_policy_violation"),
        "guard": _said(400, "Violated guardrail policy", code="400"),
        "prompt guard": _said(400, "Request blocked by prompt guard", code="blocked"),
    },
    "rate_limit": {
        "bedrock": (400, {"__type": "ThrottlingException", "message": "Too many requests."}),
        "coral": (400, {"__type": "com.amazon.coral.availability#ThrottlingException", "message": "Slow down"}),
        "alibaba": (400, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"}),
        "volcano": _said(403, "The RPM limit is exceeded", code="RateLimitExceeded.EndpointRPMExceeded"),
        "google": _said(403, "Slow down", errors=[{"reason": "rateLimitExceeded"}]),
        "a minute": _said(429, "Usage limit reached: 60 requests per minute for this organization"),
        "gemini": _said(429, "You exceeded your current quota, please check your plan and billing details.",
                        status="RESOURCE_EXHAUSTED"),
        "tier": _said(429, "Service tier capacity exceeded for this model."),
    },
    "transient": {
        "generation": (424, {"error": "Request failed during generation", "error_type": "generation"}),
        "capacity": _said(498, "Flex tier capacity exceeded", code="capacity_exceeded"),
        "load": _said(503, "The model `x` is currently not available due to high load."),
    },
    "permanent": {  # of this prompt or these settings: the model is there
        "temperature": _said(400, "Unsupported value: 'temperature' does not support 0.7 with this model. Only the "
                             "default (1) value is supported.", param="temperature", code="unsupported_value"),
        "max_tokens": _said(400, "Unsupported parameter: 'max_tokens' is not supported with this model.",
                            param="max_tokens", code="unsupported_parameter"),
        "logprobs": _said(400, "This model does not support logprobs."),
        "format": _said(400, "'response_format' of type 'json_schema' is not supported with this model."),
        "output": _said(400, "The model produced invalid output for the schema."),
        "never fits": _said(429, "Request too large for gpt-4o on tokens per min (TPM): Limit 3, Requested 4. The "
                            "input or output tokens must be reduced.", code="rate_limit_exceeded"),
        "long": _said(400, "Request exceeds the limit: 9000 tokens, token limit exceeded"),
        "field": _said(400, "Unknown field rate_limit in the request"),
        "pictures": _said(400, "At most 0 image(s) may be provided in one request for this model."),
    },
}  # fmt: skip
"""Errors as services word them, by what a run has to make of them."""


@pytest.mark.parametrize(("kind", "service"), [(kind, name) for kind in WORDED for name in WORDED[kind]])
def test_what_a_service_words_in_its_own_way_is_told_by_its_kind(kind: str, service: str) -> None:
    assert failed(*WORDED[kind][service]).kind == kind.partition(" ")[0]


def test_the_field_that_a_framework_names_is_the_setting_that_is_advised_about() -> None:
    detail = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
    failure = failed(422, {"detail": [detail]})
    assert "seed: Extra inputs are not permitted" in failure.message
    assert "{'seed': None}" in failure.advice


@pytest.mark.parametrize(
    "words", ["illegal chunk header: bytearray(b'zz')", "bad Content-Length", "illegal status line"]
)
def test_what_is_no_http_is_not_put_down_to_the_network(words: str) -> None:
    failure = unreachable(OSError(words), SERVICE)
    assert "not HTTP as it should be" in failure.message
    assert "bytearray" not in failure.message
    assert "network" not in failure.advice


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}, "choices": None}, "refused"),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "fatal"),
        ({"code": 401, "msg": "Invalid API key", "data": None}, "fatal"),
        ({"status": "error", "message": "Model Not Exist"}, "fatal"),
        ({"detail": "worker died"}, "transient"),
        ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, "rate_limit"),
        ({"error_code": 17, "error_msg": "Open api daily request limit reached"}, "fatal"),
        ({"status": "failed", "error_message": "Model overloaded"}, "transient"),
    ],
)
def test_an_error_that_comes_as_an_answer_is_told_by_its_kind(found: dict[str, Any], kind: str) -> None:
    with pytest.raises(ErrorInside) as inside:
        refuse_error(found)
    assert from_inside(inside.value, SERVICE).kind == kind


def test_an_answer_that_tells_of_errors_beside_is_an_answer() -> None:
    refuse_error({"choices": [{"message": {"content": "fox"}}], "message": "", "base_resp": {"status_code": 0}})
    refuse_error({"choices": [], "usage": {}})


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("86400", "24 hours"), ("7200", "2 hours"), ("PT2H", "2 hours"), ("Fri, 31 Dec 9999 23:59:59 GMT", "years"),
        ("999999999999999", "years"),
    ],
)  # fmt: skip
def test_a_wait_that_is_too_long_is_told_and_not_to_ask_more_slowly(told: str, words: str) -> None:
    failure = failed(429, {"error": {"message": "Slow down"}}, date=NOW, **{"Retry-After": told})
    assert words in failure.advice
    assert "more slowly" not in failure.advice


def test_a_setting_that_is_refused_is_told_with_the_line_of_both_doors() -> None:
    text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    advice = failed(400, {"error": {"message": text, "param": "max_tokens", "code": "unsupported_parameter"}}).advice
    assert "Settings(extra={'max_tokens': None, 'max_completion_tokens': 256})" in advice
    assert "--setting max_tokens=null --setting max_completion_tokens=256" in advice
    text = "Unsupported value: 'temperature' does not support 0 with this model."
    advice = failed(400, {"error": {"message": text, "param": "temperature", "code": "unsupported_value"}}).advice
    assert "or --setting temperature=null" in advice


def test_a_network_that_wants_a_login_is_not_a_wrong_model() -> None:
    failure = failed(511, {"title": "Network Authentication Required"})
    assert failure.kind == "fatal"
    assert "wants a login" in failure.advice
