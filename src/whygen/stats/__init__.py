"""Numbers that both wings need: intervals, sign flips, conformal levels, false discovery, agreement, seeds.

Arrays in, arrays out; nothing here knows a model, a file or a clock.
"""
