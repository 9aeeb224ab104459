"""One file a library: each turns a `Task` into attributions, and knows nothing of what answers it."""
