"""whygen beside what could be picked instead: the same model, the same number of model calls. `docs/rivals.md`."""
