"""What a person means who names a model without its provider: the line to type, for names that are well known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

SERVICES: dict[str, str] = {
    "cerebras": "https://api.cerebras.ai/v1",
    "cohere": "https://api.cohere.ai/compatibility/v1",
    "deepinfra": "https://api.deepinfra.com/v1/openai",
    "deepseek": "https://api.deepseek.com/v1",
    "fireworks": "https://api.fireworks.ai/inference/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
    "groq": "https://api.groq.com/openai/v1",
    "llamacpp": "http://localhost:8080/v1",
    "lmstudio": "http://localhost:1234/v1",
    "mistral": "https://api.mistral.ai/v1",
    "nvidia": "https://integrate.api.nvidia.com/v1",
    "ollama": "http://localhost:11434/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "perplexity": "https://api.perplexity.ai",
    "sglang": "http://localhost:30000/v1",
    "together": "https://api.together.xyz/v1",
    "vllm": "http://localhost:8000/v1",
    "xai": "https://api.x.ai/v1",
}
"""Servers that speak OpenAI's protocol, where they are; ``NAME_BASE_URL`` names another address."""

_DRAW_THEMSELVES = frozenset({"demo", "diffusers", "py", "replay", "planted"})
"""Providers whose models take a picture as they are."""

_KNOWN = (
    (r"stable-diffusion|sdxl|sd-turbo|flux\.?[12]|pixart|kandinsky|stable-audio|cogvideo", "diffusers/{}"),
    (r"(?:chat)?gpt-(?!2\b|j\b|neo)|o[1-9](?:-|$)|text-davinci|davinci-|babbage-|dall-e|codex-", "openai/{}"),
    (r"claude", "anthropic/{}"),
    (r"gemini", "gemini/{}"),
    (r"grok", "xai/{}"),
    (r"deepseek-(?:chat|reasoner)", "deepseek/{}"),
    (r"(?:mistral|ministral|codestral|pixtral|magistral|open-mi)[\w.-]*-(?:latest|\d{4})$", "mistral/{}"),
    (r"command-[ar]", "cohere/{}"),
    (r"(?:distil)?gpt-?2|gpt-(?:j|neo)|opt-|pythia|bloom|(?:flan-)?t5|phi-[1-4](?:\.5)?$|smollm|bert|roberta", "hf/{}"),
    (r"(?:llama|qwen|gemma|mistral|mixtral|phi|deepseek|gpt-oss|codellama|tinyllama|smollm)[\w.-]*(?::[\w.-]+)?$",
     "ollama/{}"),
)  # fmt: skip
"""How names begin that everybody knows, and the URI; the first that fits counts."""

_ELSEWHERE: dict[str, str] = {
    "chatgpt": "openai", "claude": "anthropic", "cohere_chat": "cohere", "fireworks_ai": "fireworks", "grok": "xai",
    "hosted_vllm": "vllm", "huggingface": "hf", "huggingface_hub": "hf", "llama.cpp": "llamacpp",
    "llama-cpp": "llamacpp", "llama_cpp": "llamacpp", "lm-studio": "lmstudio", "lm_studio": "lmstudio",
    "nvidia_nim": "nvidia", "ollama_chat": "ollama", "text-completion-openai": "openai", "together_ai": "together",
    "transformers": "hf",
}  # fmt: skip
"""What other libraries call a provider, where it is no organisation of the hub under which the model is found too."""

_OF_HUB = frozenset({"mistralai", "deepseek-ai", "xai-org", "fireworks-ai", "openai-community", "lmstudio-community"})
"""Organisations of the hub that are called nearly as a provider is."""

_ORGANISATIONS = frozenset({"google", "x-ai", "mistralai", "deepseek-ai"})
"""Whose models OpenRouter and the hub call so; of those that are had from their makers, that is a provider."""
_DEPLOYED = frozenset({"azure", "azure_ai", "azure-openai", "bedrock", "sagemaker", "vertex", "vertex_ai", "watsonx"})
"""Clouds whose address is each customer's own."""

_WEIGHTS = frozenset({".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pkl", ".h5", ".keras", ".onnx", ".msgpack"})
_NEAR = 0.7
"""From this likeness on, a name counts as another one mistyped."""


def near(given: str, known: Iterable[str]) -> str | None:
    """The known name that a mistyped one is near to, if there is one."""
    found = difflib.get_close_matches(given.lower(), sorted(known), n=1, cutoff=_NEAR)
    return found[0] if found else None


def no_uri(given: str, providers: dict[str, tuple[str, ...]]) -> str:
    """What is wrong with a text that is no URI, and the line to type, as one paragraph.

    Args:
        given: what was given as the model.
        providers: names of the providers, with the models that each knows by name.
    """
    if not given.strip():
        return "model is empty: name a model, such as demo/storyteller or openai/gpt-4o-mini."
    if hub := re.match(r"(?i)(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+(?:/[\w.-]+)?)", given):
        return f"model={given!r} is a page of the Hugging Face hub. Type hf/{hub[1]}."
    if given.lower().startswith(("http://", "https://")):
        return (
            f"model={given!r} is an address. Type openai/NAME, where NAME is what the server calls the model, and the "
            f"address as base_url (--base-url {given})."
        )
    shown = given if len(given) <= 80 else f"{given[:77]}..."
    if any(map(str.isspace, given.strip())):
        return (
            f"model={shown!r} is a text, not a model: the model comes first, then the prompt, such as "
            f"demo/storyteller {shown!r}."
        )
    meant = _address(given) or _python(given) or _file(given) or _known(given, providers) or _unknown(given, providers)
    return f"model={shown!r} {meant}"


def _address(given: str) -> str | None:
    """What to type for an address without its scheme: a host with a port, or one that a path of an API follows."""
    host = re.fullmatch(r"((?:localhost|[\w-]+(?:\.[\w-]+)+)(?::\d{2,5})?)(/v\d\S*)?/?", given)
    if host is None or not (":" in host[1] or host[2]):
        return None
    scheme = "http" if ":" in host[1] else "https"
    return (
        "is an address. Type openai/NAME, where NAME is what the server calls the model, and the address as base_url "
        f"(--base-url {scheme}://{host[1]}{host[2] or '/v1'})."
    )


def _python(given: str) -> str | None:
    """What to type for a file of Python, with a function of it or without."""
    path = re.fullmatch(r"(?:\./)?([\w/]+)\.py(?::([A-Za-z_]\w*))?", given)
    if path is None:
        return None
    module = path[1].strip("/").replace("/", ".")
    if path[2]:
        return f"is in a file of Python. Type py/{module}:{path[2]}."
    return f"is a file of Python. Type py/{module}:FUNCTION, where FUNCTION answers a prompt, or makes the model."


def _file(given: str) -> str | None:
    """What to type for a file or a folder."""
    path = Path(given)
    if path.suffix.lower() == ".gguf":
        return (
            f"is a file of weights. Serve it (llama-server -m {given} --port 8080) and type llamacpp/{path.stem}, "
            "which looks for that server."
        )
    if path.suffix.lower() in _WEIGHTS:
        return (
            "is a file of weights, which does not say what network they are for. Write a function that builds the "
            "network and loads them, such as def load(): ... in mymodel.py, and type py/mymodel:load; in Python, give "
            "the network itself."
        )
    if not given.startswith((".", "/", "~")) and "\\" not in given:
        return None
    place = path.expanduser()
    try:
        diffusion = (place / "model_index.json").is_file()
    except (OSError, ValueError):
        diffusion = False
    if diffusion:
        return f"is the folder of a diffusion model. Type diffusers/{given}."
    return (
        f"is a path. Type hf/{given} for a folder of a transformers model, or diffusers/{given} for a diffusion model."
    )


def _known(given: str, providers: dict[str, tuple[str, ...]]) -> str | None:
    """What to type for a name that everybody knows, that a provider knows, or that is a function's."""
    for provider, names in providers.items():
        if given in names:
            return f"names no provider. Type {provider}/{given}."
    provider, colon, name = given.partition(":")
    if colon and name and provider.lower() in (*providers, *SERVICES):
        return f"has a colon where a slash belongs. Type {provider.lower()}/{name}."
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", given):
        return f"looks like a function of a module. Type py/{given}."
    for pattern, uri in _KNOWN:
        if "/" not in given and re.match(pattern, given.lower()):
            return f"names no provider. Type {uri.format(given)}."
    return None


def _unknown(given: str, providers: dict[str, tuple[str, ...]]) -> str:
    provider, slash, name = given.partition("/")
    if provider in {*providers, *SERVICES}:
        example = next(iter(providers.get(provider, ())), "NAME")
        return f"is not complete: say which model after the slash, such as {provider}/{example}."
    if slash and name and provider.lower() in _DEPLOYED:
        return (
            f"is on {provider}, where each customer has an address of their own. Type openai/{name} and that address, "
            "where OpenAI's protocol begins, as base_url (--base-url URL)."
        )
    meant = _ELSEWHERE.get(provider.lower()) if slash and name else None
    if meant is not None:
        return f"names no provider. Type {meant}/{name}."
    mistyped = slash and provider.lower() not in _OF_HUB
    meant = near(provider, {*providers, *SERVICES}) if mistyped else None
    if meant is not None:
        return f"names no provider. Did you mean {meant}/{name}?"
    hosted = next((uri for pattern, uri in _KNOWN if slash and re.match(pattern, name.lower())), "")
    if hosted.startswith("diffusers/"):
        return f"names no provider. Type diffusers/{given}."
    if hosted and not hosted.startswith(("hf/", "ollama/")) and provider.lower() in _ORGANISATIONS:
        return f"names no provider. Type {hosted.format(name)}, or as OpenRouter calls it openrouter/{given}."
    if slash and provider and name:
        variable = re.sub(r"\W", "_", provider).upper()
        return (
            f"names no provider. For a model of the Hugging Face hub type hf/{given}; for one that a server calls so, "
            f"openai/{given} with base_url (--base-url URL); for a server of your own named {provider!r}, set "
            f"{variable}_BASE_URL. `whygen models` lists the providers."
        )
    bare = given.strip("/") or "NAME"
    return (
        f"names no provider. Type PROVIDER/NAME, such as openai/{bare}, anthropic/{bare}, hf/{bare} (the Hugging Face "
        f"hub), ollama/{bare} (on this machine) or demo/storyteller. `whygen models` lists the providers."
    )


def edits_at(uri: str) -> str | None:
    """The endpoint at which a model edits pictures: remote ones have one of their own."""
    return None if uri.partition("/")[0] in _DRAW_THEMSELVES else "images"
