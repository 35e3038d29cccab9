"""Adaptive discriminator augmentation (Karras et al. 2020): what D sees is transformed at random.

`transforms` says what there is; `draws` makes the random parameters of a minibatch; `pipeline`
applies them, with `geometry`, `colour` and `bands` as its parts.
"""
