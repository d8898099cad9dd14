"""A slow categorizer behind an HTTP endpoint: what it is asked, how it is called, what it answered before."""
