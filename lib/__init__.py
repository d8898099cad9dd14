"""Shelfsort: a company's product file in, categorized products and an account of every row out."""
