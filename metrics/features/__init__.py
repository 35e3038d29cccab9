"""What metrics look at images with: Inception, VGG16, attribute classifiers, and their weights."""
