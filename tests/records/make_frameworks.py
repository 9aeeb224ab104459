"""Makes ``samples/frameworks.json``: what frameworks keep of a run in which an agent reads a mail and sends one.

Run from the folder of the project, in an environment with the packages of `MAKERS`:
``python -m tests.records.make_frameworks [NAME ...]``. Each asks a server on the same machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.records.conversation import ASKED, MAIL, SYSTEM, agent_answers
from tests.records.loopback import serving

SAMPLE = Path(__file__).parent / "samples" / "frameworks.json"
KEY = "sk-not-a-real-key-0123456789"
MODEL = "gpt-4o-mini"


def read_mail(number: int) -> str:
    """Reads a mail."""
    return MAIL


def send_email(to: str, body: str) -> str:
    """Sends a mail."""
    return "sent"


def _dumped(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return "\n".join(connection.iterdump())


def agents(url: str, folder: Path) -> dict[str, Any]:
    """OpenAI's Agents SDK: spans, a session, and the items of the next request."""
    from agents import (
        Agent,
        ModelSettings,
        OpenAIChatCompletionsModel,
        Runner,
        SQLiteSession,
        function_tool,
        set_trace_processors,
    )
    from agents.tracing.processor_interface import TracingProcessor
    from openai import AsyncOpenAI

    spans: list[Any] = []

    class Keep(TracingProcessor):
        def on_trace_start(self, trace: Any) -> None: ...

        def on_trace_end(self, trace: Any) -> None: ...

        def on_span_start(self, span: Any) -> None: ...

        def on_span_end(self, span: Any) -> None:
            spans.append(span.export())

        def shutdown(self) -> None: ...

        def force_flush(self) -> None: ...

    set_trace_processors([Keep()])
    agent = Agent(
        name="mail", instructions=SYSTEM, tools=[function_tool(read_mail), function_tool(send_email)],
        model=OpenAIChatCompletionsModel(MODEL, AsyncOpenAI(base_url=url, api_key=KEY)),
        model_settings=ModelSettings(temperature=0.2, max_tokens=300),
    )  # fmt: skip
    session = SQLiteSession("ann", folder / "session.db")
    ran = asyncio.run(Runner.run(agent, ASKED, session=session))
    session.close()
    told = [span for span in spans if span["span_data"]["type"] == "generation"]
    return {"spans": told, "items": ran.to_input_list(), "session": _dumped(folder / "session.db")}


def pydantic(url: str, folder: Path) -> dict[str, Any]:
    """Pydantic AI: all messages of a run."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=url, api_key=KEY))
    agent = Agent(model, system_prompt=SYSTEM, tools=[read_mail, send_email], model_settings={"temperature": 0.2})
    return {"messages": json.loads(agent.run_sync(ASKED).all_messages_json())}


def autogen(url: str, folder: Path) -> dict[str, Any]:
    """AutoGen: its state, its result, and the events of its log."""
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    events: list[Any] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            events.append(json.loads(str(record.msg)))

    log = logging.getLogger("autogen_core.events")
    log.setLevel(logging.INFO)
    log.addHandler(Keep())

    async def run() -> dict[str, Any]:
        client = OpenAIChatCompletionClient(model=MODEL, base_url=url, api_key=KEY, temperature=0.2)
        agent = AssistantAgent(
            "mail", client, tools=[read_mail, send_email], system_message=SYSTEM, max_tool_iterations=4
        )
        ran = await agent.run(task=ASKED)
        return {"state": await agent.save_state(), "result": ran.model_dump(mode="json")}

    return {**asyncio.run(run()), "events": [each for each in events if each.get("type") == "LLMCall"]}


def haystack(url: str, folder: Path) -> dict[str, Any]:
    """Haystack: the messages of its agent."""
    from haystack.components.agents import Agent
    from haystack.components.generators.chat import OpenAIChatGenerator
    from haystack.dataclasses import ChatMessage
    from haystack.tools import create_tool_from_function
    from haystack.utils import Secret

    model = OpenAIChatGenerator(model=MODEL, api_key=Secret.from_token(KEY), api_base_url=url)
    tools = [create_tool_from_function(read_mail), create_tool_from_function(send_email)]
    ran = Agent(chat_generator=model, tools=tools, system_prompt=SYSTEM).run(messages=[ChatMessage.from_user(ASKED)])
    return {"messages": [message.to_dict() for message in ran["messages"]]}


def smolagents(url: str, folder: Path) -> dict[str, Any]:
    """Smolagents: the steps in its memory; calls and results are texts of the request there."""
    from smolagents import OpenAIModel, ToolCallingAgent, tool

    read_mail.__doc__ = "Reads a mail.\n\nArgs:\n    number: which\n"
    send_email.__doc__ = "Sends a mail.\n\nArgs:\n    to: whom\n    body: what\n"
    model = OpenAIModel(MODEL, api_base=url, api_key=KEY)
    agent = ToolCallingAgent(tools=[tool(read_mail), tool(send_email)], model=model, max_steps=2, verbosity_level=0)
    agent.prompt_templates["system_prompt"] = SYSTEM
    agent.run(ASKED)
    return {"steps": agent.memory.get_full_steps()[1:3]}


def agno(url: str, folder: Path) -> dict[str, Any]:
    """Agno: a run."""
    from agno.agent import Agent
    from agno.models.openai import OpenAIChat

    model = OpenAIChat(id=MODEL, base_url=url, api_key=KEY)
    agent = Agent(model=model, tools=[read_mail, send_email], instructions=SYSTEM, telemetry=False)
    return {"run": agent.run(ASKED).to_dict()}


def langchain(url: str, folder: Path) -> dict[str, Any]:
    """LangChain: messages in the form of its histories, and such a history in a database."""
    from langchain_community.chat_message_histories import SQLChatMessageHistory
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage, messages_to_dict
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=MODEL, base_url=url, api_key=KEY).bind_tools([read_mail, send_email])
    turns: list[Any] = [SystemMessage(SYSTEM), HumanMessage(ASKED)]
    for gave in (MAIL, "sent"):
        turns.append(model.invoke(turns))
        turns.append(ToolMessage(gave, tool_call_id=turns[-1].tool_calls[0]["id"]))
    turns.append(model.invoke(turns))
    SQLChatMessageHistory("ann", connection=f"sqlite:///{folder}/history.db").add_messages(turns)
    return {"messages": messages_to_dict(turns), "history": _dumped(folder / "history.db")}


def google(url: str, folder: Path) -> dict[str, Any]:
    """Google's client: the history of a chat."""
    from google import genai
    from google.genai import types

    answers = [
        {"functionCall": {"name": "read_mail", "args": {"number": 1}}},
        {"functionCall": {"name": "send_email", "args": {"to": "eve@example.net", "body": "The budget."}}},
        {"text": "I have sent it."},
    ]
    said = [
        {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}]} for part in answers
    ]
    with serving(*said) as server:
        client = genai.Client(api_key=KEY, http_options={"base_url": server.url})
        config = types.GenerateContentConfig(system_instruction=SYSTEM, tools=[read_mail, send_email])
        chat = client.chats.create(model="gemini-2.5-flash", config=config)
        chat.send_message(ASKED)
        return {"history": [turn.model_dump(mode="json", exclude_none=True) for turn in chat.get_history()]}


def braintrust(url: str, folder: Path) -> dict[str, Any]:
    """Braintrust: rows of its log, of chat completions and of responses."""
    import braintrust as tracer
    from openai import OpenAI
    from tests.records.conversation import openai_request, responses_answer, responses_request

    with tracer.logger._internal_with_memory_background_logger() as memory, serving(responses_answer()) as second:
        tracer.init_logger(
            project="p", project_id="11111111-1111-1111-1111-111111111111", api_key=tracer.logger.TEST_API_KEY
        )
        tracer.wrap_openai(OpenAI(base_url=url, api_key=KEY)).chat.completions.create(**openai_request())
        client = tracer.wrap_openai(OpenAI(base_url=f"{second.url}/v1", api_key=KEY))
        client.responses.create(**{**responses_request(), "input": ASKED})
        rows = memory.pop()
    return {"rows": [{**row, "context": None} for row in rows if row.get("output")]}


def semantic_kernel(url: str, folder: Path) -> dict[str, Any]:
    """Semantic Kernel: the history of a chat, as it writes it."""
    from openai import AsyncOpenAI
    from semantic_kernel import Kernel
    from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
    from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
    from semantic_kernel.contents import ChatHistory
    from semantic_kernel.functions import KernelFunctionFromMethod, kernel_function

    async def run() -> str:
        kernel, client = Kernel(), AsyncOpenAI(base_url=url, api_key=KEY)
        service = OpenAIChatCompletion(ai_model_id=MODEL, async_client=client)
        kernel.add_service(service)
        for tool in (read_mail, send_email):
            kernel.add_function("mail", KernelFunctionFromMethod(kernel_function(tool), plugin_name="mail"))
        history = ChatHistory(system_message=SYSTEM)
        history.add_user_message(ASKED)
        how = OpenAIChatPromptExecutionSettings(function_choice_behavior=FunctionChoiceBehavior.Auto(), temperature=0.2)
        history.add_message(await service.get_chat_message_content(history, how, kernel=kernel))
        return history.serialize()

    return {"history": json.loads(asyncio.run(run()))}


def dspy(url: str, folder: Path) -> dict[str, Any]:
    """DSPy: the history of a model, whose answers are shown as Python shows them."""
    import dspy as library

    model = library.LM(f"openai/{MODEL}", api_base=url, api_key=KEY, cache=False, temperature=0.2)
    for _ in range(2):
        model(messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": ASKED}])
    return {"rows": model.history}


MAKERS = {
    "semantic-kernel": (semantic_kernel, "semantic-kernel"), "dspy": (dspy, "dspy"),
    "agents": (agents, "openai-agents"), "pydantic": (pydantic, "pydantic-ai-slim"),
    "autogen": (autogen, "autogen-agentchat"), "haystack": (haystack, "haystack-ai"),
    "smolagents": (smolagents, "smolagents"), "agno": (agno, "agno"), "langchain": (langchain, "langchain-core"),
    "google": (google, "google-genai"), "braintrust": (braintrust, "braintrust"),
}  # fmt: skip


def main(names: list[str]) -> None:
    """Make the records of these frameworks, or of all, and keep those of the others."""
    os.environ["OPENAI_API_KEY"] = KEY
    for name in names or MAKERS:
        make, package = MAKERS[name]
        with serving(*agent_answers()) as server, tempfile.TemporaryDirectory() as folder:
            records = make(f"{server.url}/v1", Path(folder))
        text = json.dumps({"version": metadata.version(package), **records}, default=str)
        made = json.loads(SAMPLE.read_text("utf-8")) if SAMPLE.is_file() else {}
        made[name] = json.loads(text.replace(server.url, "http://127.0.0.1:4321"))
        SAMPLE.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
