"""The default categorizer: a word model of a few MB with a lexicon of ten languages, fitted by lib.training."""
