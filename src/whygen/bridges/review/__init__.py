"""`whygen review`: what a pull request changes in its prompts, as attributions before and after, in one comment."""
