"""StyleGAN's networks (Karras et al. 2018)."""
