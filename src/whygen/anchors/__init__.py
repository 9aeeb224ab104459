"""The second wing: which samples a generative model knows, invents, half-knows or fails, and which few represent each.

`explain` is the line that runs through it. What takes the model's time comes first: `loading` fits anchors and
reference to the model, `work` says what is to be scored, `scores` has it done shard by shard (`scoring` reconstructs,
`criteria` measure, `recording` keeps) and gives `Scores`. The rest reads these and needs no model, today or from a
saved folder: `reading` asks `calibration` what is low, `groups` for the four kinds, `controls` what stands beside them,
`representing` for a few of each by `selection`, and `diagnostics` what to warn of.
"""
