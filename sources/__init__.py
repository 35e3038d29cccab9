"""Where data sets come from: published formats, folders and arrays, for dataset_tool.py."""
