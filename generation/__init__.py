"""What people make of a trained generator: pictures, figures, videos, other formats."""
