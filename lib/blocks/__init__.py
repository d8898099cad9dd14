"""A categorizer of blocks: the words of each column by TF-IDF side by side, and a linear machine over them.

For anybody's labelled files, whose columns (the customer's category, a description, a brand) it learns to read
together with the name; where they count, it is better than the word model, and slower.
"""
