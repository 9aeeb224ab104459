"""The first wing: which units of a prompt drove what the model answered.

One prompt, read in a line: `whygen.cli.prompt` takes it, `explain` opens what is named, `question` cuts it into units
and settles operator, target and plan, `ask` asks for masks until the plan is met (`asker` renders them and sends them
through `whygen.calls`), `answers` is what came back, `reading` measures it, `effects` holds that, `estimands` turn
effects into attributions with intervals, and `assemble` puts them into words.

Beside that line: `hierarchy` (long prompts), `inputs` (a template over many inputs), `many` (several targets of one set
of calls), `foresee` (what a run would ask), `edits` (instructions to an editor), `gsmile` (the published procedure).
"""
