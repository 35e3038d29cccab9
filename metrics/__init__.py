"""FID, PPL and linear separability, and the feature networks they look through."""

VERSION = 1  # goes up when a change of the code changes results
