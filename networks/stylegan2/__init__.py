"""StyleGAN2's networks."""
