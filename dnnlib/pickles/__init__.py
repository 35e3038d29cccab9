"""Readers of pickles and of PyTorch files that execute nothing in them."""
