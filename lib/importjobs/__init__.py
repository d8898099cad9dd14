"""Import jobs from within: their store, command line, runs and shares; lib.jobs is what others call."""
