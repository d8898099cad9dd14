"""Jobs that are disturbed at random moments, compared with one that was left alone."""
