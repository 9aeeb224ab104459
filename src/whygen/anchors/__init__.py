"""The second wing: which samples a generative model knows, invents, half-knows or fails, and which few represent each.

In the order of the flow: `opening` fits anchors and reference to the model, `scoring` reconstructs them and `criteria`
measures how well, `calibration` says what is low, `groups` names the four kinds, `representing` picks a few of each by
`selection`, `diagnostics` warns, and `assemble` puts it into words. `explain` is the line that runs through them.
"""
