"""A mistake: it ends the program as soon as it is imported."""

raise SystemExit("not today")
