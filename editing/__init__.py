"""Pictures into w, and what directions in w change."""
