"""Makes the samples of spans: instrumented official clients ask a server on this machine, an exporter writes them down.

Each way of recording is a process of its own (instrumentation is for good). Run from the folder of the project, in an
environment with the packages that the docstring of each function names::

    python -m tests.records.make_spans openai-console
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.records.conversation import (
    ASKED,
    MAIL,
    PARAMETERS,
    SYSTEM,
    anthropic_answer,
    anthropic_request,
    openai_answer,
    openai_request,
)
from tests.records.loopback import serving
from tests.records.make_services import gemini_answer

SAMPLES = Path(__file__).parent / "samples"


def traced() -> tuple[Any, Any]:
    """A provider of tracers, and what collects its spans."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider, exporter


def logged() -> tuple[Any, Any]:
    """A provider of loggers, and what collects their records."""
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    provider, exporter = LoggerProvider(), InMemoryLogRecordExporter()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    set_logger_provider(provider)
    return provider, exporter


def ask_openai() -> str:
    """Ask as the sample conversation does; the address that was asked."""
    import openai

    with serving(openai_answer()) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-not-a-real-key-0123456789")
        client.chat.completions.create(**openai_request())
    return server.url


def ask_anthropic() -> str:
    """The same of Anthropic's client."""
    import anthropic

    with serving(anthropic_answer()) as server:
        client = anthropic.Anthropic(base_url=server.url, api_key="sk-ant-not-a-real-key-0123456789")
        client.messages.create(**anthropic_request())
    return server.url


def console(spans: Any, name: str) -> None:
    """As the SDK's `ConsoleSpanExporter` writes them: one JSON object after another."""
    write(name, "\n".join(span.to_json() for span in spans) + "\n")


def otlp(spans: Any, logs: Any, name: str) -> None:
    """As a collector's file exporter writes them: OTLP/JSON, one line for each export."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    sent = [MessageToDict(encode_spans(spans))]
    if logs:
        sent.append(MessageToDict(encode_logs(logs)))
    write(name, "".join(f"{json.dumps(hexadecimal(each), ensure_ascii=False)}\n" for each in sent))


def hexadecimal(value: Any) -> Any:
    """OTLP/JSON writes ids in hexadecimal digits, where protobuf's own JSON has base64."""
    import base64

    if isinstance(value, list):
        return [hexadecimal(each) for each in value]
    if isinstance(value, dict):
        return {
            key: base64.b64decode(each).hex() if key in {"traceId", "spanId", "parentSpanId"} else hexadecimal(each)
            for key, each in value.items()
        }
    return value


def write(name: str, text: str) -> None:
    """Write a sample."""
    (SAMPLES / name).write_text(text, encoding="utf-8")


def official(content: str, latest: str) -> tuple[Any, Any]:
    """``opentelemetry-instrumentation-openai-v2``, by the conventions of today or the ones before."""
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = content
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = latest
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    (tracers, spans), (loggers, logs) = traced(), logged()
    OpenAIInstrumentor().instrument(tracer_provider=tracers, logger_provider=loggers)
    ask_openai()
    return spans.get_finished_spans(), logs.get_finished_logs()


def langchain() -> None:
    """``openinference-instrumentation-langchain`` over ``langchain-openai``."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    from langchain_openai import ChatOpenAI
    from openinference.instrumentation.langchain import LangChainInstrumentor

    tracers, spans = traced()
    LangChainInstrumentor().instrument(tracer_provider=tracers)
    called = AIMessage("", tool_calls=[{"id": "call_1", "name": "read_mail", "args": {"number": 1}}])
    with serving(openai_answer()) as server:
        model = ChatOpenAI(
            model="gpt-4o-mini", base_url=f"{server.url}/v1", api_key="sk-not-a-real-key-0123456789", temperature=0.2
        )
        turns = [SystemMessage(SYSTEM), HumanMessage(ASKED), called, ToolMessage(MAIL, tool_call_id="call_1")]
        model.bind_tools(openai_request()["tools"]).invoke(turns)
    console(spans.get_finished_spans(), "openinference_langchain.json")


def google() -> None:
    """Google's client, as Traceloop's instrumentation sees it: calls without ids, tools in lists of their own."""
    from google import genai
    from google.genai import types
    from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor

    tracers, spans = traced()
    GoogleGenerativeAiInstrumentor().instrument(tracer_provider=tracers)
    called = types.Part.from_function_call(name="read_mail", args={"number": 1})
    gave = types.Part.from_function_response(name="read_mail", response={"result": MAIL})
    turns = [
        types.Content(role="user", parts=[types.Part(text=ASKED)]), types.Content(role="model", parts=[called]),
        types.Content(role="user", parts=[gave]),
    ]  # fmt: skip
    tool = types.FunctionDeclaration(name="send_email", parameters_json_schema=PARAMETERS)
    with serving(gemini_answer()) as server:
        client = genai.Client(api_key="k" * 39, http_options=types.HttpOptions(base_url=server.url))
        client.models.generate_content(
            model="gemini-2.5-flash", contents=turns,
            config=types.GenerateContentConfig(
                system_instruction=SYSTEM, temperature=0.2, tools=[types.Tool(function_declarations=[tool])]
            ),
        )  # fmt: skip
    console(spans.get_finished_spans(), "otel_traceloop_google.json")


def mistral() -> None:
    """Mistral's client, as OpenInference sees it: empty texts stand where nothing was given."""
    from mistralai.client import Mistral
    from openinference.instrumentation.mistralai import MistralAIInstrumentor

    tracers, spans = traced()
    MistralAIInstrumentor().instrument(tracer_provider=tracers)
    asked: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ASKED}]
    with serving(openai_answer()) as server:
        client = Mistral(api_key="k", server_url=server.url)
        client.chat.complete(model="mistral-small-latest", messages=asked, temperature=0.2)
    console(spans.get_finished_spans(), "openinference_mistral.json")


def logfire() -> None:
    """``logfire`` and OpenAI's client; what it tells of the machine is left out."""
    import logfire as tracing
    from openai import OpenAI
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    tracing.configure(
        send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(spans)]
    )  # fmt: skip
    with serving(openai_answer()) as server:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="sk-not-a-real-key-0123456789")
        tracing.instrument_openai(client)
        client.chat.completions.create(**openai_request())
    told = [{**json.loads(span.to_json()), "resource": {}} for span in spans.get_finished_spans()]
    write("logfire.json", "\n".join(json.dumps(each, indent=1) for each in told) + "\n")


OTHERS = {"langchain": langchain, "google": google, "logfire": logfire, "mistral": mistral}


def main(what: str) -> None:
    """Make one sample."""
    if what == "openai-spans":
        spans, logs = official("span_only", "gen_ai_latest_experimental")
        console(spans, "otel_openai_console.json")
        otlp(spans, logs, "otel_openai_otlp.jsonl")
    elif what == "openai-events":
        spans, logs = official("true", "")
        otlp(spans, logs, "otel_openai_events.jsonl")
    elif what == "openai-bare":
        spans, logs = official("no_content", "gen_ai_latest_experimental")
        console(spans, "otel_openai_bare.json")
    elif what == "traceloop":
        from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

        tracers, spans = traced()
        AnthropicInstrumentor().instrument(tracer_provider=tracers)
        ask_anthropic()
        console(spans.get_finished_spans(), "otel_traceloop_anthropic.json")
    elif what == "openinference":
        from openinference.instrumentation.anthropic import AnthropicInstrumentor as Anthropic
        from openinference.instrumentation.openai import OpenAIInstrumentor as OpenAI

        tracers, spans = traced()
        OpenAI().instrument(tracer_provider=tracers)
        Anthropic().instrument(tracer_provider=tracers)
        ask_openai()
        ask_anthropic()
        console(spans.get_finished_spans(), "openinference_console.json")
    elif what in OTHERS:
        OTHERS[what]()
    else:
        raise SystemExit(f"{what!r} is no sample")


if __name__ == "__main__":
    main(sys.argv[1])
