"""Makes the samples of Gemini's and of Bedrock's own protocols: Google's and Amazon's clients ask a server here.

Run from the folder of the project, where google-genai and boto3 are installed (no other test needs them):
``python -m tests.records.make_services``.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.records.conversation import ASKED, MAIL, PARAMETERS, READ, SYSTEM, picture
from tests.records.loopback import serving

SAMPLES = Path(__file__).parent / "samples"
SENT: dict[str, Any] = {"to": "eve@example.net", "body": "The budget."}


def gemini_answer() -> dict[str, Any]:
    parts = [
        {"text": "Harmless.", "thought": True}, {"text": "I send it."},
        {"functionCall": {"name": "send_email", "args": SENT}},
    ]  # fmt: skip
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 20, "totalTokenCount": 140},
        "modelVersion": "gemini-2.5-flash", "responseId": "r1",
    }  # fmt: skip


def gemini_stream() -> str:
    def piece(parts: list[dict[str, Any]], finish: str | None = None) -> str:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        told = {**candidate, **({"finishReason": finish} if finish else {})}
        return f"data: {json.dumps({'candidates': [told], 'modelVersion': 'gemini-2.5-flash'})}\r\n\r\n"

    called = [{"functionCall": {"name": "send_email", "args": SENT}}]
    return piece([{"text": "I send"}]) + piece([{"text": " it."}]) + piece(called, "STOP")


def ask_gemini(url: str) -> None:
    from google import genai
    from google.genai import types

    client = genai.Client(api_key="AIza-not-a-real-key-0123456789", http_options=types.HttpOptions(base_url=url))
    contents = [
        types.Content(role="user", parts=[
            types.Part(text=ASKED),
            types.Part(inline_data=types.Blob(mime_type="image/png", data=base64.b64decode(picture()))),
        ]),
        types.Content(role="model", parts=[
            types.Part(function_call=types.FunctionCall(name="read_mail", args={"number": 1})),
        ]),
        types.Content(role="user", parts=[
            types.Part.from_function_response(name="read_mail", response={"result": MAIL}),
        ]),
    ]  # fmt: skip
    tools = [types.Tool(function_declarations=[
        types.FunctionDeclaration(name="read_mail", description="Reads a mail.", parameters_json_schema=READ),
        types.FunctionDeclaration(name="send_email", description="Sends a mail.", parameters=types.Schema(
            type=types.Type.OBJECT, required=["to", "body"],
            properties={name: types.Schema(type=types.Type.STRING) for name in ("to", "body")},
        )),
    ])]  # fmt: skip
    config = types.GenerateContentConfig(
        system_instruction=SYSTEM, tools=tools, temperature=0.2, max_output_tokens=300, stop_sequences=["END"], seed=7,
        thinking_config=types.ThinkingConfig(include_thoughts=True),
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="AUTO")),  # type: ignore[arg-type]
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )  # fmt: skip
    client.models.generate_content(model="gemini-2.5-flash", contents=contents, config=config)  # type: ignore[arg-type]
    list(client.models.generate_content_stream(model="gemini-2.5-flash", contents=contents, config=config))  # type: ignore[arg-type]


def bedrock_answer() -> dict[str, Any]:
    content = [
        {"reasoningContent": {"reasoningText": {"text": "Harmless.", "signature": "c2lnbmVk"}}}, {"text": "I send it."},
        {"toolUse": {"toolUseId": "tooluse_2", "name": "send_email", "input": SENT}},
    ]  # fmt: skip
    return {
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use",
        "usage": {"inputTokens": 120, "outputTokens": 20, "totalTokens": 140}, "metrics": {"latencyMs": 12},
    }  # fmt: skip


def ask_bedrock(url: str) -> None:
    import boto3

    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=url, aws_access_key_id="AKIDNOTAREALKEY",
        aws_secret_access_key="not-a-real-key-0123456789",
    )  # fmt: skip
    tools = [
        {"toolSpec": {"name": name, "description": said, "inputSchema": {"json": schema}}}
        for name, said, schema in (("read_mail", "Reads a mail.", READ), ("send_email", "Sends a mail.", PARAMETERS))
    ]
    client.converse(
        modelId="us.amazon.nova-pro-v1:0",
        system=[{"text": SYSTEM}, {"cachePoint": {"type": "default"}}],
        messages=[
            {"role": "user", "content": [
                {"document": {"format": "txt", "name": "budget", "source": {"text": "Budget: 5"}}}, {"text": ASKED},
                {"image": {"format": "png", "source": {"bytes": base64.b64decode(picture())}}},
            ]},
            {"role": "assistant", "content": [
                {"text": "I look."},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "read_mail", "input": {"number": 1}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": MAIL}], "status": "success"}},
                {"text": "Go on."},
            ]},
        ],
        inferenceConfig={"maxTokens": 300, "temperature": 0.2, "stopSequences": ["END"]},
        toolConfig={"tools": tools, "toolChoice": {"auto": {}}},
    )  # fmt: skip


def main() -> None:
    """Make all samples."""
    with serving(gemini_answer(), gemini_stream()) as server:
        ask_gemini(server.url)
    for name, sent in zip(("gemini", "gemini_stream"), server.sent, strict=True):
        # The client was told to ask here instead: as it is recorded, the service was asked.
        write(f"{name}.json", sent, server.url, "https://generativelanguage.googleapis.com")
    with serving(bedrock_answer()) as server:
        ask_bedrock(server.url)
    write("bedrock.json", server.sent[0], server.url, "https://bedrock-runtime.us-east-1.amazonaws.com")


KEPT = {"host", "content-type", "authorization", "x-goog-api-key"}
"""Headers of a sample; the others tell of the machine that made it."""


def write(name: str, value: Any, url: str, stands: str) -> None:
    """Write a sample as JSON, with the address that people have in place of the server's own."""
    asked = value["request"]
    asked["headers"] = {key: each for key, each in asked["headers"].items() if key.lower() in KEPT}
    text = json.dumps(value, indent=1, ensure_ascii=False).replace(url, stands)
    host = url.removeprefix("http://")
    (SAMPLES / name).write_text(f"{text.replace(host, stands.removeprefix('https://'))}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
