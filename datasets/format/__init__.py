"""The format of data sets: multi-resolution TFRecords, and the built-in sets."""
