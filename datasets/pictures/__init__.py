"""What the files of each format of pictures let one check, and Pillow does not."""
