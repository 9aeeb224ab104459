"""Models that remove noise, asked what they have learned; `denoiser` holds what they are.

Nothing here imports torch: `opening` is asked of every model, also where torch is not installed.
"""
