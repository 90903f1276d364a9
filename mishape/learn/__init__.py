"""What is learned from shapes and images: data sets for training, models, their training, and their measures."""
