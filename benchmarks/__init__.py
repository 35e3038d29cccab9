"""Speed, memory and quality measurements; `make bench` runs this package."""
