"""Writers of jets."""
