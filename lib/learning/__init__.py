"""What a categorizer learns from and is judged by: examples, the crosswalk to our categories, evaluation."""
