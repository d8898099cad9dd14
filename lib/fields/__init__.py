"""What a cell may hold: names, amounts, GTINs, languages; what lib.products makes a product's fields of."""
