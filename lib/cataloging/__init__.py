"""How a job's rows enter the catalog's tables; lib.catalog is what others call."""
