"""Asking a cheap model beside the dear one: the dear one's masks, and many more of its own. METHODS A3.

The proxy gets the prompts that the model gets, rendered by the same operator, and its answers are measured by the same
target: against what the proxy itself says to the whole prompt, where answers are compared; a target that reads or
scores the reference takes the model's. Whatever it says, the intervals are about the model that is explained
(`whygen.prompt.surrogates.proxied`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whygen.calls import RunOptions, make_runner
from whygen.models import Model
from whygen.prompt.ask import ask_design
from whygen.prompt.asker import Asker
from whygen.prompt.designs import Design
from whygen.prompt.options import PromptOptions
from whygen.prompt.plan import Plan
from whygen.prompt.proxy import ProxyAnswers, proxy_evidence
from whygen.prompt.question import OnServer, Question, prepare_units
from whygen.prompt.reading import read
from whygen.prompt.session import Session
from whygen.prompt.targets import Compares
from whygen.stats.seeds import generator

UNUSED = "proxy-unused"
"""The notice where a proxy has no part."""


def ask_proxy(
    session: Session, question: Question, asker: Asker, design: Design, model: Model
) -> ProxyAnswers | None:  # fmt: skip
    """Ask the proxy; None where every mask is asked of the model itself, or nothing changed what the proxy said.

    Args:
        session: that asks the model.
        question: what is asked of it.
        asker: of the model, after the whole prompt.
        design: the masks that the model will be asked.
        model: the proxy, as `open_proxy` opened it.

    Raises:
        ModelError: if it does not answer.
        EndedError, KeyboardInterrupt: as for any run; of the model's masks none is paid for then.
    """
    if design.enumerated:
        asker.told = (*asker.told, (UNUSED, "Every mask is asked of the model itself: the proxy has no part in this."))
        return None
    about = prepare_units(question.units, _own(question.plan), model=model, encoder=session.encoder, seed=session.seed)
    beside = _asker(session, about, model, asker)
    beside.check_target()
    beside.check_context()
    if not isinstance(about.target, Compares):
        beside.recorded = asker.references[0]
    beside.whole(1, repeats=about.plan.repeats)
    apart = int(generator(session.seed, "proxy").integers(2**31))
    answers = ask_design(beside, replace(about, seed=apart).design(beside.steadiness), about)
    if answers.ended is not None:
        raise answers.ended
    drawn = read(answers, about.plan, beside.meter)
    values = beside.effects(design.masks, first_row=len(answers.design.masks))[:, 0]
    if beside.ended is not None:
        raise beside.ended
    estimate = about.plan.estimand.estimate(drawn, about.plan.fitting(session.seed))
    whole = np.ones((1, len(about.units)), dtype=bool)
    evidence = proxy_evidence(
        drawn, estimate, masks=np.vstack([design.masks, whole]), effects=np.append(values, drawn.at_whole)
    )
    if evidence is None:
        text = f"Nothing changed what the proxy {model.uri} said: it has no part in this."
        asker.told = (*asker.told, (UNUSED, text))
        return None
    return ProxyAnswers(model.uri, beside.runner.tally.asked, evidence)


def _own(plan: Plan) -> PromptOptions:
    """The options of the proxy's own masks: what only reads answers is left to the model's."""
    return replace(
        plan.options, budget=plan.options.proxy_budget, references=1, draws=1, tolerance=None, stable=None, sets=None,
        matrix="none", suspect=None, model_noise="measure", proxy=None,
    )  # fmt: skip


def _asker(session: Session, about: Question, model: Model, asker: Asker) -> Asker:
    """Who asks the proxy. A proxy on a server spends from the run's bounds on tokens and money, a local one is free."""
    run = session.run or RunOptions()
    spending = asker.runner.shared_budget if isinstance(model, OnServer) else RunOptions().spending
    runner = make_runner(
        model,
        session.store,
        budget=None,
        progress=session.progress,
        options=replace(run, spending=spending, batch=None),
    )
    return Asker(runner, model, about.units, asker.operator, about.target, session.settings)
