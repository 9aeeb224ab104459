"""What whygen reads of a scheduler, against what the scheduler itself does with a network that answers so."""

# pyright: basic
from __future__ import annotations

import inspect
import math
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import UsageError
from whygen.models.denoisers.schedules import FARTHEST, NoiseLevel, NoiseSchedule, read_schedule
from whygen.models.latent.loading import load_latent

CLEAN = torch.tensor([0.7, -0.2, 0.4, -0.9]).view(1, 1, 2, 2)
STEPS = 40
"""Of the schedulers' own samplers."""


def made(name: str, **more: Any) -> Any:
    found = getattr(diffusers, name)
    known = inspect.signature(found.__init__).parameters
    told = {"clip_sample": False, "timestep_spacing": "leading", **more}
    return found(**{key: value for key, value in told.items() if key in known})


def level_at(schedule: NoiseSchedule, time: float) -> NoiseLevel:
    """How much noise there is when the network is told that time, by whygen's reading."""
    if schedule.prediction == "preconditioned" or (schedule.known is None and schedule.prediction == "v_prediction"):
        return schedule.make(math.exp(4 * time))
    if schedule.prediction == "score":
        return schedule.make(time)
    if schedule.known is None:
        share = min(max(time / 1000, 1e-6), 1 - 1e-6)
        return NoiseLevel(1 - share, share, time)
    place = round(time - schedule.known[0].time)
    return schedule.known[min(max(place, 0), len(schedule.known) - 1)]


def oracle(schedule: NoiseSchedule, x: torch.Tensor, time: float) -> torch.Tensor:
    """The answer of a network that knows the one sample there is, by whygen's reading of the scheduler."""
    level = level_at(schedule, time)
    if schedule.prediction == "preconditioned":  # the answer that its precondition turns into the sample
        whole = x / schedule.scale(torch.ones(1), level)
        zero, one = (schedule.clean(torch.full_like(x, value), whole, level) for value in (0.0, 1.0))
        return (CLEAN - zero) / (one - zero)
    noise = level.noise_of(x, CLEAN)
    return {
        "epsilon": noise, "sample": CLEAN.expand_as(x), "v_prediction": level.alpha * noise - level.sigma * CLEAN,
        "flow": noise - CLEAN, "score": -noise / level.sigma,
    }[schedule.prediction]  # fmt: skip


def drawn(scheduler: Any, schedule: NoiseSchedule) -> torch.Tensor:
    """What the scheduler's own steps make of pure noise with that network."""
    torch.manual_seed(0)
    scheduler.set_timesteps(STEPS)
    x = torch.randn(1, 1, 2, 2) * float(getattr(scheduler, "init_noise_sigma", 1.0))
    for time in scheduler.timesteps:
        asked = scheduler.scale_model_input(x, time) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(oracle(schedule, asked, float(time)), time, x).prev_sample
    return x


NEAR = 0.07
"""What the last steps of solvers of high order leave of the noise."""
TURNED = ("DDIMInverseScheduler", "DPMSolverMultistepInverseScheduler", "RePaintScheduler")
OTHER_WAY = {*TURNED, "ScoreSdeVeScheduler", "CogVideoXDPMScheduler"}
"""Their own steps lead from samples to noise, or are asked in another way."""
ADDS_NONE = {"DDIMInverseScheduler", "RePaintScheduler", "ScoreSdeVeScheduler"}
ALIKE = 0.05
"""Between the steps of the training some schedulers interpolate, where the nearest step is read."""
PREDICTIONS = ("epsilon", "sample", "v_prediction", "flow_prediction")


def schedulers() -> list[str]:
    """Every scheduler of the installed diffusers, those of later versions included."""
    found = [
        name for name in dir(diffusers) if name.endswith("Scheduler") and inspect.isclass(getattr(diffusers, name))
    ]
    return [name for name in found if not hasattr(getattr(diffusers, name), "_backends")]


def opened(name: str, **more: Any) -> Any:
    try:
        return made(name, **more)
    except TypeError:  # of tokens: what they need says nothing of noise
        return object.__new__(getattr(diffusers, name))


def variants(name: str) -> list[dict[str, Any]]:
    """Every answer of a network that the scheduler can be told, with the noise of DDPM and of flows."""
    known = inspect.signature(getattr(diffusers, name).__init__).parameters
    answers = PREDICTIONS if "prediction_type" in known else (None,)
    flows = (False, True) if "use_flow_sigmas" in known else (False,)
    return [{"prediction_type": each, "use_flow_sigmas": flow} for each in answers for flow in flows]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", schedulers())
def test_every_scheduler_is_refused_in_words_or_its_own_steps_lead_to_the_sample_that_its_reading_knows(
    name: str,
) -> None:
    for more in variants(name):
        scheduler = opened(name, **more)
        try:
            schedule = read_schedule(scheduler)
        except UsageError as error:
            assert len(str(error)) > 60  # noqa: PT017 - and what is not refused goes on
            continue
        if name in OTHER_WAY:
            continue
        try:
            found = drawn(scheduler, schedule)
        except (NotImplementedError, ValueError) as error:
            assert "predict" in str(error)  # noqa: PT017 - their own steps do not know this answer
            continue
        assert (found - CLEAN).abs().max() < NEAR, more


def largest_gap(scheduler: Any, schedule: NoiseSchedule) -> float:
    """Between noised samples by whygen's reading and by the scheduler, as the network is given them, over its times."""
    noise = torch.tensor([0.3, -1.2, 0.8, 0.1]).view(1, 1, 2, 2)
    gaps = [0.0]
    scheduler.set_timesteps(STEPS)
    for time in scheduler.timesteps[3::7]:
        scheduler.set_timesteps(STEPS)  # forgets at which step it is
        add = scheduler.add_noise if hasattr(scheduler, "add_noise") else scheduler.scale_noise
        own = add(CLEAN, *((time[None], noise) if add.__name__ == "scale_noise" else (noise, time[None])))
        own = scheduler.scale_model_input(own, time) if hasattr(scheduler, "scale_model_input") else own
        level = level_at(schedule, float(time))
        gaps.append(float((schedule.scale(level.noised(CLEAN, noise), level) - own).abs().max()))
    return max(gaps)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", schedulers())
def test_noise_is_as_much_as_the_scheduler_itself_adds_at_each_of_its_times(name: str) -> None:
    for more in variants(name)[::3]:
        scheduler = opened(name, **more)
        try:
            schedule = read_schedule(scheduler)
        except UsageError:
            continue
        if name in ADDS_NONE or (more["use_flow_sigmas"] and name.startswith("SASolver")):  # adds that of DDPM
            continue
        assert largest_gap(scheduler, schedule) < ALIKE


def test_a_scheduler_that_is_read_wrong_is_seen_by_its_noise_and_by_its_steps() -> None:
    """The tests before this one can fail."""
    scheduler = made("DDIMScheduler")
    assert largest_gap(scheduler, read_schedule(made("DDIMScheduler", beta_end=0.03))) > 2 * ALIKE
    answers = read_schedule(made("DDIMScheduler", prediction_type="sample"))
    assert (drawn(scheduler, answers) - CLEAN).abs().max() > 2 * NEAR


def test_schedulers_of_the_other_direction_are_read_like_those_of_the_usual_one() -> None:
    usual = read_schedule(made("DDIMScheduler"))
    for name in TURNED:
        found = read_schedule(made(name))
        assert found.known == usual.known
        assert found.prediction == "epsilon"


def test_the_score_of_noise_on_top_of_a_sample_leads_to_the_sample() -> None:
    scheduler = made("ScoreSdeVeScheduler", sigma_max=50.0)
    schedule = read_schedule(scheduler)
    torch.manual_seed(0)
    scheduler.set_timesteps(500)
    scheduler.set_sigmas(500)
    x = mean = torch.randn(1, 1, 2, 2) * scheduler.init_noise_sigma
    for place, time in enumerate(scheduler.timesteps):
        score = oracle(schedule, x, float(scheduler.sigmas[place]))
        found = scheduler.step_pred(score, time, x)
        x, mean = found.prev_sample, found.prev_sample_mean
    assert (mean - CLEAN).abs().max() < NEAR


@pytest.mark.filterwarnings("ignore")
def test_a_network_told_the_log_of_the_noise_is_read_so() -> None:
    scheduler = made(
        "EulerDiscreteScheduler", timestep_type="continuous", prediction_type="v_prediction", use_karras_sigmas=True,
        sigma_min=0.01, sigma_max=80.0,
    )  # fmt: skip
    assert (drawn(scheduler, read_schedule(scheduler)) - CLEAN).abs().max() < NEAR
    with pytest.raises(UsageError, match="continuous"):
        read_schedule(made("EulerDiscreteScheduler", timestep_type="continuous"))


@given(
    st.floats(0.02, 50.0), st.sampled_from(["DDPMScheduler", "FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler"])
)
def test_noise_is_found_again_at_any_level(ratio: float, name: str) -> None:
    schedule = read_schedule(made(name))
    level = schedule.make(ratio)
    noise = torch.tensor([0.3, -1.2, 0.8, 0.1]).view(1, 1, 2, 2)
    x = level.noised(CLEAN, noise)
    found = schedule.clean(oracle(schedule, schedule.scale(x, level), level.time), x, level)
    assert torch.allclose(found, CLEAN, atol=1e-3)
    assert torch.allclose(level.noise_of(x, CLEAN), noise, atol=1e-2)
    assert 0 < level.share < 1
    assert math.isclose(level.ratio, ratio, rel_tol=0.3)


def test_a_ladder_rises_over_the_whole_schedule() -> None:
    for name in ("DDPMScheduler", "FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler"):
        schedule = read_schedule(made(name))
        ratios = [level.ratio for level in schedule.ladder(20)]
        assert ratios == sorted(ratios)
        assert len(ratios) == 20
        assert ratios[0] == pytest.approx(schedule.bounds[0])
        assert ratios[-1] == pytest.approx(schedule.bounds[1])
        assert ratios[-1] <= FARTHEST * 1.001


def test_levels_that_the_schedule_does_not_have_are_refused() -> None:
    scheduler = made("DDPMScheduler", num_train_timesteps=4, beta_start=0.5, beta_end=0.9)
    with pytest.raises(UsageError, match=r"knows noise from 1 to .* num_train_timesteps"):
        read_schedule(scheduler).levels([0.1, 1.0])


def test_an_array_of_shares_is_a_schedule_and_betas_are_none() -> None:
    betas = np.linspace(1e-4, 0.02, 1000)
    schedule = read_schedule(np.cumprod(1 - betas))
    own = read_schedule(made("DDPMScheduler"))
    assert [level.time for level in schedule.known or ()] == [level.time for level in own.known or ()]
    assert schedule.bounds == pytest.approx(own.bounds, rel=1e-4)
    with pytest.raises(UsageError, match=r"numpy.cumprod\(1 - betas\)"):
        read_schedule(betas)


def test_what_has_no_fixed_levels_is_refused() -> None:
    class Adaptive:
        def step(self) -> None: ...

    class Noising(Adaptive):
        def add_noise(self, samples: Any, noise: Any, time: Any) -> Any: ...

    class Timed(Adaptive):
        def set_timesteps(self, n: int) -> None: ...

    for wrong in (Adaptive(), None):
        with pytest.raises(UsageError, match="no fixed levels of noise"):
            read_schedule(wrong)
    for own in (Noising(), Timed()):  # a scheduler of one's own is known by what it does, beside its network
        for pair in ((torch.nn.Conv2d(1, 1, 3), own), {"unet": torch.nn.Conv2d(1, 1, 3), "scheduler": own}):
            with pytest.raises(UsageError, match="no fixed levels of noise"):
                load_latent(pair)
    scheduler = made("DDPMScheduler")
    scheduler.register_to_config(prediction_type="dreams")
    with pytest.raises(UsageError, match="prediction_type='dreams'"):
        read_schedule(scheduler)
    with pytest.raises(UsageError, match="invert_sigmas"):
        read_schedule(diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True))
