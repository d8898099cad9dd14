"""Review by people: the workbook they fill in, and what becomes of their corrections."""
