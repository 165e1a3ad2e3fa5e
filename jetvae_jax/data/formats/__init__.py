"""Published formats of jets, one file each."""
