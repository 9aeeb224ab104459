"""Training of the small diffusion models that tests and benchmarks ask."""
