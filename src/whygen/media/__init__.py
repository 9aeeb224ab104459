"""Pictures, sounds and films as values: read, made of arrays, checked and written."""
