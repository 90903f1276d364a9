"""What the tables of segmentation are made of: training and test sets, models, scores."""
