"""Blind ratings of explanations by people: the sheet, the key, and what the ratings say."""
