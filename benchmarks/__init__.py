"""Figures: each module measures one claim and returns it as data; `python -m benchmarks` runs them and keeps them."""
