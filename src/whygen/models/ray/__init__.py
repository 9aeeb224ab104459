"""Models on a Ray cluster: ``ModelOptions(executor="ray")``, ``--executor ray``.

A model that answers here or there answers alike: workers open it by the same URI, requests carry their seeds, and the
record that answers are looked up in stays with the caller. `open_on_ray` gives a model like any other.
"""

from whygen.models.ray.opening import open_on_ray as open_on_ray

__all__ = ["open_on_ray"]
