"""shapiq 1.8, which needs Python 3.12: its newest approximators, as they are but for trees of lightgbm."""

from __future__ import annotations

from shapiq.approximator import LeverageSHAP, PolySHAP, ProxySHAP, RegressionMSR
from shapiq.approximator.regression.oddshap import OddSHAP

from benchmarks.rivals.adapters.shapiq import proxyspex, values_of
from benchmarks.rivals.protocol import Method

METHODS: dict[str, Method] = {
    "ProxySPEX": proxyspex,
    "OddSHAP": values_of(OddSHAP),
    "LeverageSHAP": values_of(LeverageSHAP),
    "PolySHAP": values_of(PolySHAP, max_order=2),
    "RegressionMSR": values_of(RegressionMSR, index="SV", proxy_model="lightgbm"),
    "ProxySHAP": values_of(ProxySHAP, index="SV", max_order=1, proxy_model="lightgbm", adjustment=True),
}
