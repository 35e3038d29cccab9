"""Progressive GAN's networks (Karras et al. 2017)."""
