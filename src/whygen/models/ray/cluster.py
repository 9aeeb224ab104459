# pyright: basic
"""The Ray cluster: finding it, what it has free, and what a worker gets of that."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Sequence
from typing import Any, Final

from whygen.errors import MissingError, MissingExtraError, UsageError
from whygen.interrupts import SIGNALS

ANSWERS: Final = 5.0
"""Seconds in which an address must answer."""
STORE: Final = 200 * 2**20
"""Bytes of shared memory of a cluster that is started here: answers are small."""


def ray_library() -> Any:
    """The package ``ray``.

    Raises:
        MissingExtraError: if it is not installed.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a worker without a GPU sees none, as it should
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody about what is run
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("executor='ray'", extra="ray", package=error.name or "ray") from None
    return ray


def connect(address: str | None) -> Any:
    """The package ``ray``, connected to a cluster; a connection that is there is used.

    Args:
        address: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``, or None: a cluster of this process, on this machine.

    Raises:
        MissingExtraError: if Ray is not installed.
        MissingError: if there is no cluster, or it is of another version.
        UsageError: if this process is connected to another one, or the address is none.
    """
    ray = ray_library()
    if ray.is_initialized():
        _same(ray, address)
        return ray
    if address not in {None, "auto", "local"}:
        _reach(str(address))
    own = address in {None, "local"}
    how: dict[str, Any] = {"object_store_memory": STORE, "include_dashboard": False} if own else {}
    usual = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        ray.init(address or "local", log_to_driver=False, logging_level="ERROR", configure_logging=False, **how)
    except Exception as error:  # of several kinds, by version and by what went wrong
        with contextlib.suppress(Exception):
            ray.shutdown()
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MissingError(f"{_nobody(address)} ({first[:300]}). {_ADVICE}") from error
    finally:
        if threading.current_thread() is threading.main_thread():  # Ray takes SIGTERM, by which a run ends in order
            for number, handler in usual.items():
                signal.signal(number, handler)
    _silence(ray)
    return ray


def _silence(ray: Any) -> None:
    """Ray prints on standard output, where JSON may be expected, that a worker died: the crew says what that means."""
    with contextlib.suppress(AttributeError):
        ray._private.worker.print_to_stdstream = lambda data, ignore_prefix: None


_ADVICE = (
    "Start one with `ray start --head`, whose first lines name its address; or leave address out: a cluster is then "
    "started on this machine."
)


def _nobody(address: str | None) -> str:
    return (
        f"address={address!r}: there is no Ray cluster to join" if address else "No Ray cluster could be started here"
    )


def _reach(address: str) -> None:
    """Find out at once what Ray would take half a minute to find out."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"address={address!r}: write HOST:PORT, such as 10.0.0.7:6379, ray://HOST:10001, or auto.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS).close()
    except OSError as error:
        raise MissingError(f"{_nobody(address)} ({error.strerror or error}). {_ADVICE}") from None


def _same(ray: Any, address: str | None) -> None:
    joined = ray.get_runtime_context().gcs_address
    if address in {None, "auto", "local", joined} or str(address).startswith("ray://"):
        return
    own = ray.util.get_node_ip_address()
    (hosts, port), (others, other) = _where(str(address), own), _where(joined, own)
    if port != other or not hosts & others:
        raise UsageError(
            f"address={address!r}: this process is connected to the cluster at {joined}. Call ray.shutdown() first, or "
            "leave address out."
        )


def _where(address: str, own: str) -> tuple[set[str], str]:
    """The addresses that a machine has by its name, those of this one all as its own; and the port."""
    host, _, port = address.rpartition(":")
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host.strip("[]"), None)}
    except OSError:
        return {host}, port
    return {own if each.startswith("127.") or each == "::1" else each for each in found}, port


def share_of(processors: Sequence[float], workers: int) -> float:
    """Processors for each of so many workers, each on one machine: as many whole ones as fit, or a part of one.

    Args:
        processors: those of each machine.
        workers: how many.
    """
    for share in range(int(max(processors, default=0)), 0, -1):
        if sum(int(free // share) for free in processors) >= workers:
            return float(share)
    for parts in range(2, 101):
        if sum(int(free * parts) for free in processors) >= workers:
            return round(1.0 / parts, 4)
    return 0.01


def resources_of(ray: Any, workers: int | None, device: str | None) -> tuple[int, dict[str, float]]:
    """How many workers there are, and what each asks of the cluster: a GPU, or a share of the processors.

    Args:
        ray: connected.
        workers: as chosen; None: one a GPU, or one a processor.
        device: as chosen for the model; ``cpu`` takes no GPU.
    """
    gpus = 0 if (device or "").startswith("cpu") else int(sum(_of_each(ray, "GPU")))
    if gpus:
        number = workers or gpus
        return number, {"num_gpus": 1.0 if number <= gpus else round(gpus / number, 4), "num_cpus": 1.0}
    processors = _of_each(ray, "CPU")
    number = workers or max(1, int(sum(processors)))
    return number, {"num_cpus": share_of(processors, number)}


def machines(ray: Any) -> int:
    """How many machines are alive."""
    return sum(node["Alive"] for node in ray.nodes())


def _of_each(ray: Any, resource: str) -> list[float]:
    """What each machine that is alive has of it. What is free now is known a while later only."""
    return [node["Resources"].get(resource, 0.0) for node in ray.nodes() if node["Alive"]]
