"""FID, PPL and linear separability, and the feature networks they look through."""
