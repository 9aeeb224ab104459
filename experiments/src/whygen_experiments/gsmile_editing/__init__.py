"""The published experiments with editors of pictures, on any editor."""
