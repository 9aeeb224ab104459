"""Ways into the tools people work in: pytest, pull requests, MCP, llm, evaluations. Each file is a bridge to one."""
