"""What makes the first minute work offline: the storyteller, the painter and the digits VAE, whose truths are known."""
