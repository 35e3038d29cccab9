"""Data sets: from published forms and pictures to TFRecords, and back into training."""
