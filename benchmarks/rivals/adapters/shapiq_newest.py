"""shapiq 1.8, which needs Python 3.12: the two approximators that go by the Fourier terms of boosted trees."""

from __future__ import annotations

from shapiq.approximator.regression.oddshap import OddSHAP

from benchmarks.rivals.adapters.shapiq import proxyspex, values_of
from benchmarks.rivals.protocol import Method

METHODS: dict[str, Method] = {"ProxySPEX": proxyspex, "OddSHAP": values_of(OddSHAP)}
