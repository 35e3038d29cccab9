"""Attribute classifiers, for the separability metric."""
