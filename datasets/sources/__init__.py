"""Where data sets come from: published forms, folders, zips and arrays."""
