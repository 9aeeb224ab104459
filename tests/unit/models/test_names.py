"""A name without its provider is answered with the line to type, and known services have their addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from whygen.errors import MissingError, UsageError
from whygen.models import LatentModel, load_model
from whygen.models.names import SERVICES


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("gpt-4o-mini", "Type openai/gpt-4o-mini."),
        ("o3-mini", "Type openai/o3-mini."),
        ("chatgpt-4o-latest", "Type openai/chatgpt-4o-latest."),
        ("gpt2", "Type hf/gpt2."),
        ("distilgpt2", "Type hf/distilgpt2."),
        ("flan-t5-small", "Type hf/flan-t5-small."),
        ("claude-3-5-sonnet-latest", "Type anthropic/claude-3-5-sonnet-latest."),
        ("gemini-2.0-flash", "Type gemini/gemini-2.0-flash."),
        ("mistral-large-latest", "Type mistral/mistral-large-latest."),
        ("deepseek-chat", "Type deepseek/deepseek-chat."),
        ("grok-3", "Type xai/grok-3."),
        ("llama3", "Type ollama/llama3."),
        ("qwen2.5:7b", "Type ollama/qwen2.5:7b."),
        ("storyteller", "Type demo/storyteller."),
        ("my.module:generate", "Type py/my.module:generate."),
        ("hf:gpt2", "Type hf/gpt2."),
        ("ollama:llama3", "Type ollama/llama3."),
        ("meta-llama/Llama-3.1-8B", "type hf/meta-llama/Llama-3.1-8B"),
        ("opnai/gpt-4o", "Did you mean openai/gpt-4o?"),
        ("antropic/claude-3", "Did you mean anthropic/claude-3?"),
        ("openruter/x", "Did you mean openrouter/x?"),
        ("huggingface/gpt2", "Type hf/gpt2."),
        ("transformers/Qwen/Qwen2.5-0.5B", "Type hf/Qwen/Qwen2.5-0.5B."),
        ("https://huggingface.co/Qwen/Qwen2.5-0.5B", "Type hf/Qwen/Qwen2.5-0.5B."),
        ("hf.co/gpt2", "Type hf/gpt2."),
        ("together_ai/llama", "Type together/llama."),
        ("ollama_chat/llama3", "Type ollama/llama3."),
        ("azure/gpt-4o", "Type openai/gpt-4o and that address"),
        ("deepseek-ai/DeepSeek-R1", "type hf/deepseek-ai/DeepSeek-R1"),
        ("mistralai/Mistral-7B-v0.1", "type hf/mistralai/Mistral-7B-v0.1"),
        ("vae.pt", "py/mymodel:load"),
        ("./vae.pt", "py/mymodel:load"),
        ("weights/model.safetensors", "py/mymodel:load"),
        ("llama.Q4.gguf", "llama-server -m llama.Q4.gguf"),
        ("./folder", "Type hf/./folder"),
        ("http://localhost:8000/v1", "--base-url http://localhost:8000/v1"),
        ("Tell me a story", "the model comes first"),
        ("openai/", "such as openai/NAME"),
        ("openai", "such as openai/NAME"),
        ("demo", "such as demo/"),
        ("", "model is empty"),
        ("localhost:11434", "--base-url http://localhost:11434/v1"),
        ("127.0.0.1:8000/v1", "--base-url http://127.0.0.1:8000/v1"),
        ("api.example.com/v1", "--base-url https://api.example.com/v1"),
        ("bot.py", "Type py/bot:FUNCTION"),
        ("src/bot.py:answer", "Type py/src.bot:answer."),
        ("OpenAI:gpt-4o", "Type openai/gpt-4o."),
        ("google/gemini-pro", "Type gemini/gemini-pro, or as OpenRouter calls it openrouter/google/gemini-pro."),
        ("google/gemma-2-2b", "type hf/google/gemma-2-2b"),
        ("stable-diffusion-v1-5", "Type diffusers/stable-diffusion-v1-5."),
        ("black-forest-labs/FLUX.1-dev", "Type diffusers/black-forest-labs/FLUX.1-dev."),
        ("nonesuch", "Type PROVIDER/NAME, such as openai/nonesuch"),
    ],
)
def test_the_answer_is_the_line_to_type(given: str, line: str) -> None:
    with pytest.raises(UsageError) as error:
        load_model(given)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_of_a_diffusion_model_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="Type diffusers/"):
        load_model(str(tmp_path))


def test_known_services_are_found_and_their_keys_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    for name, address in SERVICES.items():
        monkeypatch.delenv(f"{name.upper()}_BASE_URL", raising=False)
        monkeypatch.delenv(f"{name.upper()}_API_KEY", raising=False)
        if "localhost" in address:
            model = load_model(f"{name}/some/model")
            assert model.uri == f"{name}/some/model"
            assert model.service.base_url == address  # type: ignore[attr-defined]
        else:
            with pytest.raises(MissingError, match=f"{name.upper()}_API_KEY"):
                load_model(f"{name}/x")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:9/v1")
    assert load_model("ollama/x").service.base_url == "http://127.0.0.1:9/v1"  # type: ignore[attr-defined]


def test_a_model_of_samples_is_sent_to_its_own_command() -> None:
    with pytest.raises(UsageError, match=r"explain_anchors \(whygen anchors\)"):
        load_model(LatentModel(uri="own/vae", encode=lambda x: x, decode=lambda z: z))
