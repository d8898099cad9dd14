"""Each kind of file as raw rows: lib.reading opens one, these modules know what is inside."""
